"""JSON Schemas of every kind of project file, for editors and other programs (draft 2020-12)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from thedata_cli.component_api.component import Component
from thedata_cli.errors import MissingDependencyError
from thedata_cli.project.contract_schema import contract_schema
from thedata_cli.project.declarations import candidates_by_directory
from thedata_cli.project.model import ProjectFile, StreamPipeline, ViewPipeline
from thedata_cli.project.registry import component_class, component_keys

SCHEMAS_DIRECTORY = Path(".thedata") / "schemas"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def all_schemas() -> Mapping[str, Mapping[str, Any]]:
    """Return the schema of each kind of file by its name, such as `thedata`, `contract` or `stream`."""
    components = _loadable_components()
    project = _project_schema(components)
    schemas = {
        "thedata": project,
        "environment": _overlay_schema(project),
        "contract": contract_schema(),
        "pipeline": _union_schema([StreamPipeline, ViewPipeline]),
    }
    for directory, candidates in candidates_by_directory(components).items():
        schemas[directory.removesuffix("s")] = _union_schema([candidate.model for candidate in candidates])
    return {name: {"$schema": _DIALECT, **schema} for name, schema in sorted(schemas.items())}


def write_schemas(project_dir: Path) -> Sequence[Path]:
    """Write every schema to `.thedata/schemas/`, where the first line of scaffolded files points.

    Returns:
        The files, relative to the project; one whose content is right already is not touched.
    """
    directory = project_dir / SCHEMAS_DIRECTORY
    directory.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, schema in all_schemas().items():
        file = directory / f"{name}.json"
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        written.append(SCHEMAS_DIRECTORY / file.name)
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(file)
    return written


def _loadable_components() -> dict[str, type[Component]]:
    """Return every component that can be imported; a broken plugin only loses its own part of the schemas."""
    components: dict[str, type[Component]] = {}
    for key in component_keys():
        try:
            components[key] = component_class(key)
        except MissingDependencyError:
            continue
    return components


def _union_schema(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """Return a schema that any of the models satisfies, definitions of all of them in one place."""
    references, shared = models_json_schema([(model, "validation") for model in models])
    definitions = shared.get("$defs", {})
    choices = [references[model, "validation"] for model in models]
    if len(choices) == 1:
        return {**choices[0], "$defs": definitions}
    return {"anyOf": choices, "$defs": definitions}


def _project_schema(components: Mapping[str, type[Component]]) -> dict[str, Any]:
    models: list[type[BaseModel]] = [ProjectFile, *components.values()]
    references, shared = models_json_schema([(model, "validation") for model in models])
    definitions = shared["$defs"]
    root = definitions.pop(_definition_name(references[ProjectFile, "validation"]))
    settings = {
        key: {
            "description": f"{component.summary[:1].upper()}{component.summary[1:]}.",
            "anyOf": [references[component, "validation"], {"type": "null"}],
        }
        for key, component in components.items()
    }
    root["properties"]["components"] = {
        "type": "object",
        "description": root["properties"]["components"].get("description", ""),
        "properties": settings,
        "additionalProperties": False,
    }
    return {**root, "$defs": definitions}


def _definition_name(reference: Mapping[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _overlay_schema(project: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an overlay: the same keys, none required, and null to remove one."""
    overlay: dict[str, Any] = _optional(project)
    overlay["title"] = "Environment"
    overlay["description"] = "An overlay of thedata.yaml: mappings merge, all else replaces, null removes."
    return overlay


def _optional(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_optional(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    relaxed = {key: _optional(value) for key, value in schema.items() if key not in ("required", "properties")}
    if "properties" in schema:
        relaxed["properties"] = {key: _nullable(_optional(value)) for key, value in schema["properties"].items()}
    return relaxed


def _nullable(schema: Any) -> Any:
    return {"anyOf": [schema, {"type": "null"}]}
