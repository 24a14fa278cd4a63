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
from thedata_cli.project.registry import unknown_engine
from thedata_cli.project.suggestions import either, suggest
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


class Declarations:
    """What the files of the project declare."""

    def __init__(self) -> None:
        self._by_component: dict[str, list[AnyDeclared]] = {}
        self._by_name: dict[tuple[str, str], dict[str, AnyDeclared]] = {}
        # Names that a broken file seems to declare, so that references to them are no mistakes of their own. The empty
        # name stands for all of them, the empty component for every one.
        self._broken: dict[tuple[str, str], set[str]] = {}

    @property
    def by_component(self) -> Mapping[str, Sequence[AnyDeclared]]:
        """Valid declarations by component key, in file order."""
        return self._by_component

    def named(self, directory: str, component: str) -> Mapping[str, AnyDeclared]:
        """Return what a component declares in a directory, by name."""
        return self._by_name.get((component, directory), {})

    def add(self, directory: str, component: str, declared: AnyDeclared) -> AnyDeclared:
        """Add a declaration; one whose name is taken is left out.

        Returns:
            The declaration that has the name.
        """
        names = self._by_name.setdefault((component, directory), {})
        first: AnyDeclared = names.setdefault(declared.model.name, declared)
        if first is declared:
            self._by_component.setdefault(component, []).append(declared)
        return first

    def append(self, directory: str, component: str, declared: AnyDeclared) -> None:
        """Add a declaration whose component itself looks after names; the first of a name is found by it."""
        self._by_name.setdefault((component, directory), {}).setdefault(declared.model.name, declared)
        self._by_component.setdefault(component, []).append(declared)

    def add_broken(self, directory: str, component: str, name: str) -> None:
        """Remember that a file is broken that seems to declare a name."""
        self._broken.setdefault((component, directory), set()).add(name)

    def is_broken(self, directory: str, component: str, name: str) -> bool:
        """Tell whether a broken file seems to declare that name, or hides which name it declares."""
        names = self._broken.get((component, directory), set()) | self._broken.get(("", directory), set())
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
    problems: list[Problem],
) -> Declarations:
    """Read every file of the directories that a component reads.

    Args:
        directory: Root of the project.
        files: Name of a directory → its files, relative to the project.
        candidates: As `candidates_by_directory` returns them, for the components of the project.
        problems: Gets the mistakes.
    """
    found = Declarations()
    for name, models in candidates.items():
        for file in files.get(name, ()):
            _read_declaration(directory, file, models, found, problems)
    return found


def _read_declaration(
    directory: Path, file: Path, candidates: Sequence[Candidate], found: Declarations, problems: list[Problem]
) -> None:
    name = file.parts[0]
    document = read_document(directory, file, problems)
    if document is None:
        found.add_broken(name, "", "")
        return
    candidate = _choose(document, candidates, problems)
    model = validate(candidate.model, document, problems) if candidate else None
    if candidate is None or model is None:
        found.add_broken(name, candidate.component if candidate else "", _written_name(document))
        return
    declared: AnyDeclared = Declared(model, document)
    first = found.add(name, candidate.component, declared)
    if first is not declared:
        message = f"{model.name!r} is declared twice; first in {first.source.position(('name',))}"
        problems.append(declared.problem(("name",), message))


def _written_name(document: Document) -> str:
    node = document.node(("name",))
    return node.text if node and re.fullmatch(NAME_PATTERN, node.text) else ""


def _choose(document: Document, candidates: Sequence[Candidate], problems: list[Problem]) -> Candidate | None:
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
            problems.append(describe(document, choices))
            return None
        remaining = fitting
    return remaining[0] if remaining else None


def _engine_problem(document: Document, choices: Sequence[str]) -> Problem:
    node = document.node(("engine",))
    if node is None:
        written = either([f"`engine: {name}`" for name in choices])
        return document.problem(("engine",), "is missing", f"write {written}")
    return document.problem(("engine",), *unknown_engine(node.text, choices))


def _kind_problem(document: Document, choices: Sequence[str]) -> Problem:
    node = document.node(("kind",))
    assert node is not None
    return document.problem(("kind",), f"unknown kind {node.text!r}", suggest(node.text, choices))
