"""The JSON Schemas: valid themselves, and they say the same as the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.project.conftest import BASE, write
from thedata_cli.project.blueprints import Blueprint, list_blueprints
from thedata_cli.project.registry import component_class, component_keys
from thedata_cli.project.scaffold import scaffold
from thedata_cli.project.schemas import all_schemas, write_schemas

SCHEMAS = all_schemas()


def is_valid(kind: str, text: str) -> bool:
    return jsonschema.Draft202012Validator(SCHEMAS[kind]).is_valid(yaml.safe_load(text))


def test_every_kind_of_file_has_one() -> None:
    directories = {name for key in component_keys() for name in component_class(key).declarations}
    assert SCHEMAS.keys() == {"thedata", "environment", "contract", "pipeline"} | {
        name.removesuffix("s") for name in directories
    }


@pytest.mark.parametrize("kind", SCHEMAS)
def test_it_is_valid_itself_and_describes_itself(kind: str) -> None:
    schema = SCHEMAS[kind]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    json.dumps(schema)


def test_every_key_of_a_project_file_is_described() -> None:
    properties: dict[str, Any] = dict(SCHEMAS["thedata"]["properties"])
    assert all(schema.get("description") for schema in properties.values())
    assert set(properties["components"]["properties"]) == set(component_keys())


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("thedata", "thedata.yaml"),
        ("contract", "contracts/departures.yaml"),
        ("stream", "streams/departures.yaml"),
        ("table", "tables/questdb.yaml"),
        ("table", "tables/clickhouse.yaml"),
        ("pipeline", "pipelines/departures.yaml"),
    ],
)
def test_it_accepts_what_is_right_and_refuses_unknown_keys(kind: str, file: str, tmp_path: Path) -> None:
    text = (write(tmp_path, BASE) / file).read_text()
    assert is_valid(kind, text)
    assert not is_valid(kind, f"{text}\nunknown: 1\n")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("thedata", "name: x\ncomponents: {natz: {}}"),
        ("thedata", "name: x"),
        ("thedata", "name: x y\ncomponents: {}"),
        ("stream", "name: x\nsubjects: [a]\nretention: limit"),
        ("table", "engine: sqlite\nname: x"),
        ("pipeline", "name: x\nstream: x\ntables: []"),
    ],
)
def test_it_refuses_what_the_loader_refuses(kind: str, text: str) -> None:
    assert not is_valid(kind, text)


def test_an_overlay_needs_nothing_and_may_remove_anything() -> None:
    assert is_valid("environment", "{}")
    assert is_valid("environment", "components: {nats: {max_payload: 2MB}, questdb: null}\nfeeds: {a: {command: [x]}}")
    assert not is_valid("environment", "component: {}")


def test_they_are_written_once(tmp_path: Path) -> None:
    files = write_schemas(tmp_path)
    assert [file.name for file in files] == [f"{kind}.json" for kind in sorted(SCHEMAS)]
    times = {file: (tmp_path / file).stat().st_mtime_ns for file in files}
    assert {file: json.loads((tmp_path / file).read_text()) for file in files} == {
        file: SCHEMAS[file.stem] for file in files
    }
    write_schemas(tmp_path)
    assert {file: (tmp_path / file).stat().st_mtime_ns for file in files} == times


@pytest.mark.parametrize("shipped", list_blueprints(), ids=lambda blueprint: blueprint.name)
def test_files_of_shipped_blueprints_satisfy_the_schema_that_they_name(tmp_path: Path, shipped: Blueprint) -> None:
    scaffold(shipped, tmp_path / "demo", name="demo", answers=shipped.answers({}))
    for file in (tmp_path / "demo").rglob("*.yaml"):
        text = file.read_text()
        kind = Path(text.partition("\n")[0].partition("schemas/")[2]).stem
        jsonschema.Draft202012Validator(SCHEMAS[kind]).validate(yaml.safe_load(text))
