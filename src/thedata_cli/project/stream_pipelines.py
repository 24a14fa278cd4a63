"""Pipelines that read a stream: their references, resolved into routes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.declarations import AnyDeclared
from thedata_cli.component_api.routes import Route
from thedata_cli.component_api.subjects import check_subject, covers, overlap
from thedata_cli.errors import Problem
from thedata_cli.plan.resources import ResourceId
from thedata_cli.project.model import DEAD_LETTER_STREAM, StreamPipeline
from thedata_cli.project.nodes import Document
from thedata_cli.project.references import References
from thedata_cli.project.suggestions import either, suggest

_TABLE_WAIT_S = 0.5
_SOURCE_WAIT_S = 0.05
"""Views are there to be current; a source takes many small requests easily."""

Path = tuple[str | int, ...]


class StreamResolver:
    """Resolves the references of one pipeline that reads a stream."""

    def __init__(
        self, document: Document, pipeline: StreamPipeline, references: References, problems: list[Problem]
    ) -> None:
        self._document = document
        self._pipeline = pipeline
        self._references = references
        self._problems = problems

    def routes(self) -> list[Route]:
        """Return a route for each target that could be resolved."""
        pipeline = self._pipeline
        stream = self._stream()
        has_dead_letters = self._has_dead_letters()
        subjects = self._subjects(stream)
        contract = self._contract(subjects)
        targets = list(self._targets(contract))
        if stream is None or contract is None or not has_dead_letters:
            return []
        return [
            Route(
                pipeline=pipeline.name,
                stream=ResourceId(stream[0], "stream", pipeline.stream),
                subject=pipeline.subject,
                contract=contract,
                target=target,
                dead_letter_stream=pipeline.dead_letters,
                max_batch=pipeline.batch.max_messages,
                max_wait_s=self._max_wait_s(target),
                position=self._document.position(path),
            )
            for path, target in targets
        ]

    def _targets(self, contract: Contract | None) -> Iterator[tuple[Path, ResourceId]]:
        """Yield every table and source with its place in the document."""
        pipeline = self._pipeline
        if not pipeline.tables and not pipeline.sources:
            self._report(("tables",), "the pipeline leads nowhere", "write `tables: [engine/name]` or `sources:`")
        for index, reference in enumerate(pipeline.tables):
            path = ("tables", index)
            if target := self._table(path, reference, contract):
                yield path, target
        for index, reference in enumerate(pipeline.sources):
            path = ("sources", index)
            if target := self._references.source(reference, partial(self._report, path)):
                yield path, target

    def _max_wait_s(self, target: ResourceId) -> float:
        if self._pipeline.batch.max_wait is not None:
            return self._pipeline.batch.max_wait
        return _TABLE_WAIT_S if target.kind == "table" else _SOURCE_WAIT_S

    def _report(self, path: Path, message: str, expected: str = "") -> None:
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

    def _table(self, path: Path, reference: str, contract: Contract | None) -> ResourceId | None:
        declared = self._references.table(reference, partial(self._report, path))
        if declared is None or (contract and not self._has_columns(path, reference, declared.model, contract)):
            return None
        component, _, name = reference.partition("/")
        return ResourceId(component, "table", name)

    def _has_columns(self, path: Path, reference: str, table: Any, contract: Contract) -> bool:
        """Tell whether every field of the messages has a column; report those that have none."""
        typed_by = self._references.contracts.get(getattr(table, "contract", None) or "")
        if typed_by is contract or getattr(table, "contract", None) in self._references.broken_contracts:
            return True
        columns = {field.name for field in typed_by.fields} if typed_by else set()
        columns |= {column.name for column in getattr(table, "columns", ())}
        missing = [field.name for field in contract.fields if field.name not in columns]
        if missing:
            message = f"{reference} has no column {either(missing)}, which contract {contract.name!r} has"
            self._report(path, message, f"write `contract: {contract.name}` in the table, or add the columns")
        return not missing
