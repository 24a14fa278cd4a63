"""Reads the files that declare resources: which component each belongs to, and as which model it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from thedata_cli.component_api.component import Component
from thedata_cli.component_api.declarations import NAME_PATTERN, AnyDeclared, Declaration, Declared
from thedata_cli.errors import Problem
from thedata_cli.project.documents import read_document
from thedata_cli.project.nodes import Document
from thedata_cli.project.suggestions import either, suggest, unknown_engine
from thedata_cli.project.validation import validate


@dataclass(frozen=True)
class Candidate:
    """One model that a file of a directory may be."""

    component: str
    model: type[Declaration]

    def constant(self, field: str) -> str:
        """Return the only value that a field such as `engine` may have; empty when the model has no such field."""
        info = self.model.model_fields.get(field)
        values = get_args(info.annotation) if info else ()
        return str(values[0]) if values else ""

    def is_default_kind(self) -> bool:
        """Whether it is meant when the file names no kind."""
        info = self.model.model_fields.get("kind")
        return info is None or not info.is_required()


@dataclass
class Declarations:
    """What the files of the project declare.

    Attributes:
        by_component: Valid declarations, in file order.
        broken: Component and directory → names that a broken file seems to declare, so that references to them are no
            mistakes of their own.
    """

    by_component: dict[str, list[AnyDeclared]]
    broken: dict[tuple[str, str], set[str]]

    def named(self, directory: str, component: str) -> dict[str, AnyDeclared]:
        """Return what a component declares in a directory, by name."""
        return {
            declared.model.name: declared
            for declared in self.by_component.get(component, ())
            if declared.source.file.parts[0] == directory
        }

    def is_broken(self, directory: str, component: str, name: str) -> bool:
        """Tell whether a broken file seems to declare that name, or hides which name it declares."""
        names = self.broken.get((component, directory), set()) | self.broken.get(("", directory), set())
        return name in names or "" in names


def candidates_by_directory(components: Mapping[str, type[Component]]) -> dict[str, list[Candidate]]:
    """Return, for each directory that some component reads, the models its files may be."""
    found: dict[str, list[Candidate]] = {}
    for key, component in components.items():
        for directory, models in component.declarations.items():
            found.setdefault(directory, []).extend(Candidate(key, model) for model in models)
    return found


def read_declarations(
    directory: Path,
    files: Mapping[str, Sequence[Path]],
    candidates: Mapping[str, Sequence[Candidate]],
    all_keys: Sequence[str],
    problems: list[Problem],
) -> Declarations:
    """Read every file of the directories that a component reads.

    Args:
        directory: Root of the project.
        files: Name of a directory → its files, relative to the project.
        candidates: As `candidates_by_directory` returns them, for the components of the project.
        all_keys: Every component there is, to tell an absent one from a misspelt one.
        problems: Gets the mistakes.
    """
    found = Declarations({}, {})
    for name, models in candidates.items():
        for file in files.get(name, ()):
            document = read_document(directory, file, problems)
            if document is None:
                found.broken.setdefault(("", name), set()).add("")
                continue
            candidate = _choose(document, models, all_keys, problems)
            model = validate(candidate.model, document, problems) if candidate else None
            if candidate is None or model is None:
                key = (candidate.component if candidate else "", name)
                found.broken.setdefault(key, set()).add(_written_name(document))
                continue
            declared: AnyDeclared = Declared(model, document)
            first = found.named(name, candidate.component).get(model.name)
            if first:
                message = f"{model.name!r} is declared twice; first in {first.source.position(('name',))}"
                problems.append(declared.problem(("name",), message))
            else:
                found.by_component.setdefault(candidate.component, []).append(declared)
    return found


def _written_name(document: Document) -> str:
    node = document.node(("name",))
    return node.text if node and re.fullmatch(NAME_PATTERN, node.text) else ""


def _choose(
    document: Document, candidates: Sequence[Candidate], all_keys: Sequence[str], problems: list[Problem]
) -> Candidate | None:
    """Find the model of one file by its `engine` and its `kind`."""
    remaining = list(candidates)
    for field, describe in (("engine", _engine_problem), ("kind", _kind_problem)):
        choices = sorted({candidate.constant(field) for candidate in remaining} - {""})
        if not choices:
            continue
        node = document.node((field,))
        if node is None and field == "kind":
            remaining = [candidate for candidate in remaining if candidate.is_default_kind()]
            continue
        fitting = [candidate for candidate in remaining if node and candidate.constant(field) == node.value]
        if not fitting:
            problems.append(describe(document, choices, all_keys))
            return None
        remaining = fitting
    return remaining[0] if remaining else None


def _engine_problem(document: Document, choices: Sequence[str], all_keys: Sequence[str]) -> Problem:
    node = document.node(("engine",))
    if node is None:
        written = either([f"`engine: {name}`" for name in choices])
        return document.problem(("engine",), "is missing", f"write {written}")
    return document.problem(("engine",), *unknown_engine(node.text, choices, all_keys))


def _kind_problem(document: Document, choices: Sequence[str], all_keys: Sequence[str]) -> Problem:  # noqa: ARG001
    node = document.node(("kind",))
    assert node is not None
    return document.problem(("kind",), f"unknown kind {node.text!r}", suggest(node.text, choices))
