"""Reads pipelines, and resolves what they refer to into routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.declarations import AnyDeclared
from thedata_cli.component_api.routes import Route
from thedata_cli.component_api.subjects import check_subject, covers, overlap
from thedata_cli.errors import Problem, SourcePosition
from thedata_cli.plan.resources import ResourceId
from thedata_cli.project.declarations import Declarations
from thedata_cli.project.documents import read_document
from thedata_cli.project.model import DEAD_LETTER_STREAM, PipelineFile
from thedata_cli.project.nodes import Document
from thedata_cli.project.registry import unknown_engine
from thedata_cli.project.suggestions import either, suggest
from thedata_cli.project.validation import validate

STREAMS = "streams"
TABLES = "tables"


@dataclass(frozen=True)
class References:
    """What a pipeline may refer to.

    Attributes:
        declarations: Streams and tables.
        contracts: By name.
        broken_contracts: Names of contracts that could not be read.
        components: Components of the project.
        engines: Those of them that have tables.
    """

    declarations: Declarations
    contracts: Mapping[str, Contract]
    broken_contracts: frozenset[str]
    components: Sequence[str]
    engines: Sequence[str]

    @cached_property
    def streams(self) -> dict[str, tuple[str, AnyDeclared]]:
        """Return every stream by name, with the component it is in."""
        return {
            name: (component, declared)
            for component in self.components
            for name, declared in self.declarations.named(STREAMS, component).items()
        }

    def hides_stream(self, name: str) -> bool:
        """Tell whether a file that could not be read may declare the stream."""
        return any(self.declarations.is_broken(STREAMS, component, name) for component in self.components)


def read_pipelines(
    directory: Path, files: Sequence[Path], references: References, problems: list[Problem]
) -> tuple[list[PipelineFile], list[Route]]:
    """Read every pipeline.

    Args:
        directory: Root of the project.
        files: Relative to it.
        references: What they may refer to.
        problems: Gets the mistakes.

    Returns:
        The valid ones, and a route for each table that could be resolved.
    """
    pipelines: list[PipelineFile] = []
    routes: list[Route] = []
    names: dict[str, SourcePosition] = {}
    for file in files:
        document = read_document(directory, file, problems)
        pipeline = validate(PipelineFile, document, problems) if document else None
        if document is None or pipeline is None:
            continue
        position = document.position(("name",))
        if pipeline.name in names:
            message = f"{pipeline.name!r} is declared twice; first in {names[pipeline.name]}"
            problems.append(document.problem(("name",), message))
        names.setdefault(pipeline.name, position)
        pipelines.append(pipeline)
        routes.extend(_Resolver(document, pipeline, references, problems).routes())
    _refuse_shared_tables(routes, problems)
    return pipelines, routes


def _refuse_shared_tables(routes: Sequence[Route], problems: list[Problem]) -> None:
    fed: dict[ResourceId, Route] = {}
    for route in routes:
        first = fed.setdefault(route.target, route)
        if first is not route and route.position:
            table = f"{route.target.component}/{route.target.name}"
            message = f"{table} is already fed by pipeline {first.pipeline!r} ({first.position})"
            problems.append(Problem(route.position, "tables", message, "one table is fed by one pipeline"))


class _Resolver:
    """Resolves the references of one pipeline."""

    def __init__(
        self, document: Document, pipeline: PipelineFile, references: References, problems: list[Problem]
    ) -> None:
        self._document = document
        self._pipeline = pipeline
        self._references = references
        self._problems = problems

    def routes(self) -> list[Route]:
        pipeline = self._pipeline
        stream = self._stream()
        has_dead_letters = self._has_dead_letters()
        subjects = self._subjects(stream)
        contract = self._contract(subjects)
        tables = [self._table(index, contract) for index in range(len(pipeline.tables))]
        if stream is None or contract is None or not has_dead_letters:
            return []
        return [
            Route(
                pipeline=pipeline.name,
                stream=ResourceId(stream[0], "stream", pipeline.stream),
                subject=pipeline.subject,
                contract=contract,
                target=table,
                dead_letter_stream=pipeline.dead_letters,
                max_batch=pipeline.batch.max_messages,
                max_wait_s=pipeline.batch.max_wait,
                position=self._document.position(("tables", index)),
            )
            for index, table in enumerate(tables)
            if table is not None
        ]

    def _report(self, path: tuple[str | int, ...], message: str, expected: str = "") -> None:
        self._problems.append(self._document.problem(path, message, expected))

    def _stream(self) -> tuple[str, AnyDeclared] | None:
        streams = self._references.streams
        name = self._pipeline.stream
        if name not in streams and not self._references.hides_stream(name):
            self._report(("stream",), f"unknown stream {name!r}", suggest(name, streams))
        return streams.get(name)

    def _has_dead_letters(self) -> bool:
        name = self._pipeline.dead_letters
        streams = {*self._references.streams, DEAD_LETTER_STREAM}
        if name == self._pipeline.stream:
            self._report(("dead_letters",), "the dead letters would come back into the stream", "name another stream")
            return False
        if name not in streams and not self._references.hides_stream(name):
            self._report(("dead_letters",), f"unknown stream {name!r}", suggest(name, streams))
        return name in streams

    def _subjects(self, stream: tuple[str, AnyDeclared] | None) -> tuple[str, ...]:
        """Return the subjects whose messages the pipeline gets; empty when that cannot be told."""
        carried: tuple[str, ...] = tuple(getattr(stream[1].model, "subjects", ())) if stream else ()
        subject = self._pipeline.subject
        if not subject:
            return carried
        try:
            check_subject(subject)
        except ValueError as error:
            message, _, expected = str(error).partition("; ")
            self._report(("subject",), message, expected)
            return ()
        if carried and not any(overlap(subject, other) for other in carried):
            self._report(
                ("subject",),
                f"stream {self._pipeline.stream!r} has no subject that matches {subject!r}",
                f"it has {either(list(carried))}",
            )
            return ()
        return (subject,)

    def _contract(self, subjects: Sequence[str]) -> Contract | None:
        name = self._pipeline.contract
        contracts = self._references.contracts
        if name is None:
            return self._only_contract(subjects)
        if name not in contracts:
            if name not in self._references.broken_contracts:
                self._report(
                    ("contract",),
                    f"unknown contract {name!r}",
                    suggest(name, {*contracts, *self._references.broken_contracts}),
                )
            return None
        contract = contracts[name]
        if subjects and not any(overlap(contract.subject, subject) for subject in subjects):
            self._report(
                ("contract",),
                f"contract {name!r} is for {contract.subject!r}, which the pipeline does not get",
                f"it gets {either(list(subjects))}",
            )
        return contract

    def _only_contract(self, subjects: Sequence[str]) -> Contract | None:
        """Return the contract of what the pipeline gets, when there is exactly one."""
        if not subjects:
            return None
        matching = [
            contract
            for contract in self._references.contracts.values()
            if any(overlap(contract.subject, subject) for subject in subjects)
        ]
        covering = [contract for contract in matching if all(covers(contract.subject, subject) for subject in subjects)]
        if len(matching) == 1:
            return matching[0]
        if len(covering) == 1:
            return covering[0]
        names = [contract.name for contract in matching]
        if names:
            self._report(("contract",), f"is missing: {either(names)} would match", "write which one is meant")
        elif not self._references.broken_contracts:
            message = f"no contract has a subject that matches {either(list(subjects))}"
            self._report(("contract",), message, f"write a contract with `x-subject: {subjects[0]}`")
        return None

    def _table(self, index: int, contract: Contract | None) -> ResourceId | None:
        path = ("tables", index)
        component, _, name = self._pipeline.tables[index].partition("/")
        if component not in self._references.engines:
            if component in self._references.components:
                self._report(path, f"component {component!r} has no tables", "name a table as engine/name")
                return None
            self._report(path, *unknown_engine(component, self._references.engines))
            return None
        declarations = self._references.declarations
        tables = declarations.named(TABLES, component)
        if name not in tables:
            if not declarations.is_broken(TABLES, component, name):
                near = suggest(f"{component}/{name}", [f"{component}/{known}" for known in tables])
                self._report(path, f"unknown table {component}/{name}", near)
            return None
        kind = getattr(tables[name].model, "kind", "table")
        if kind != "table":
            self._report(path, f"{component}/{name} is a {kind}, which a pipeline cannot fill", "name a table")
            return None
        if contract and not self._has_columns(path, tables[name].model, contract):
            return None
        return ResourceId(component, "table", name)

    def _has_columns(self, path: tuple[str | int, ...], table: Any, contract: Contract) -> bool:
        """Tell whether every field of the messages has a column; report those that have none."""
        typed_by = self._references.contracts.get(getattr(table, "contract", None) or "")
        if typed_by is contract or getattr(table, "contract", None) in self._references.broken_contracts:
            return True
        columns = {field.name for field in typed_by.fields} if typed_by else set()
        columns |= {column.name for column in getattr(table, "columns", ())}
        missing = [field.name for field in contract.fields if field.name not in columns]
        if missing:
            table_name = self._pipeline.tables[int(path[1])]
            message = f"{table_name} has no column {either(missing)}, which contract {contract.name!r} has"
            self._report(path, message, f"write `contract: {contract.name}` in the table, or add the columns")
        return not missing
