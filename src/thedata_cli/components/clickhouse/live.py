"""The open connection to a running ClickHouse: what it has, what is changed, what is asked."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import ResultColumn, ResultStream, TableWriter
from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.component_api.views import MirrorWriter
from thedata_cli.components.clickhouse.checks import check
from thedata_cli.components.clickhouse.connection import (
    STATEMENT_TIMEOUT_S,
    BrokenOffError,
    Connection,
    another_program,
)
from thedata_cli.components.clickhouse.kinds import COMPONENT
from thedata_cli.components.clickhouse.mirror import count_rows, open_mirror
from thedata_cli.components.clickhouse.normal_form import normal_form
from thedata_cli.components.clickhouse.observed import read_owner, read_tables
from thedata_cli.components.clickhouse.values import RESULT_FORMAT, RESULT_SETTINGS, converter
from thedata_cli.components.clickhouse.writer import ClickHouseWriter
from thedata_cli.errors import StatementRejectedError
from thedata_cli.health import CheckResult
from thedata_cli.plan.changes import Step
from thedata_cli.plan.resources import Resource, ResourceId


@contextlib.asynccontextmanager
async def connect(
    endpoint: Endpoint, project: str, *, user: str, secret: str, database: str, wanted_version: str
) -> AsyncIterator[ClickHouseLive]:
    """Open a connection and make sure that ClickHouse answers and lets us in.

    Raises:
        ServiceUnreachableError: It does not.
    """
    connection = Connection(
        endpoint.host,
        endpoint.ports["http"],
        user=user,
        password=endpoint.secrets.get(secret, ""),
        database=database,
    )
    live = ClickHouseLive(connection, project, wanted_version)
    try:
        try:
            await live.version()
        except BrokenOffError as error:
            raise another_program(connection.address, "it does not speak HTTP") from error
        yield live
    finally:
        await connection.close()


class ClickHouseLive:
    """A connected ClickHouse: plans, queries and writes."""

    def __init__(self, connection: Connection, project: str, wanted_version: str) -> None:
        self._connection = connection
        self._project = project
        self._wanted_version = wanted_version

    async def version(self) -> str:
        """Return the version of the engine, all four parts."""
        text = (await self._connection.run("SELECT version() FORMAT TSV", has_database=False)).decode().strip()
        if not re.match(r"\d+\.\d+", text):
            raise another_program(self._connection.address, f"it gives {text[:40]!r} as its version")
        return text

    async def normalise(self, desired: Sequence[Resource]) -> Sequence[Resource]:
        """Return the declared resources as the server would give them back.

        A database that is there and that no project made needs no plan: it belongs to whoever runs the server.

        Raises:
            InvalidProjectError: The server refuses an expression; each with its place in the project's files.
        """
        owner, tables = await asyncio.gather(read_owner(self._connection), read_tables(self._connection))
        is_ours = owner is None or owner == self._project
        homes = [resource for resource in desired if resource.id.kind == "database" and is_ours]
        others = [resource for resource in desired if resource.id.kind != "database"]
        observed = {resource.id: resource for resource in tables}
        exact = await normal_form(self._connection, others, observed, has_database=owner is not None)
        return [*homes, *exact]

    async def observe(self) -> Sequence[Resource]:
        """Return the tables and views of the project's database, and that database when the project made it.

        No other database is looked at: it may be that of another environment of the same project.
        """
        owner, tables = await asyncio.gather(read_owner(self._connection), read_tables(self._connection))
        if owner != self._project:
            return tables
        return [Resource(ResourceId(COMPONENT, "database", self._connection.database), {}, managed_by=owner), *tables]

    async def execute(self, step: Step) -> None:
        """Send one statement; one about databases runs outside of the project's, which may not be there."""
        has_database = re.match(r"\w+\s+DATABASE\b", step.call) is None
        await self._connection.run(step.call, has_database=has_database, timeout_s=STATEMENT_TIMEOUT_S)

    async def check(self) -> Sequence[CheckResult]:
        """Return the doctor's findings."""
        return await check(self._connection, self._wanted_version)

    @contextlib.asynccontextmanager
    async def query(self, sql: str) -> AsyncIterator[ResultStream]:
        """Run one statement and stream its result.

        Raises:
            StatementRejectedError: With the engine's message, and line and column when it gives a position.
        """
        async with self._connection.send(sql, parameters=RESULT_SETTINGS, timeout_s=STATEMENT_TIMEOUT_S) as answer:
            if not answer.format:
                await answer.discard()
                yield _Rows([], None)
                return
            _refuse_format(answer.format, RESULT_FORMAT)
            async with contextlib.aclosing(answer.chunks()) as chunks:
                lines = _Lines(chunks)
                yield _Rows(await lines.header(), lines)

    async def export_parquet(self, sql: str) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of one Parquet file, written by the engine."""
        parameters = {"default_format": "Parquet"}
        async with self._connection.send(sql, parameters=parameters, timeout_s=STATEMENT_TIMEOUT_S) as answer:
            if not answer.format:
                await answer.discard()
                raise StatementRejectedError("the statement has no result to export")
            _refuse_format(answer.format, "Parquet")
            async with contextlib.aclosing(answer.chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk

    def open_writer(self, route: Route) -> AbstractAsyncContextManager[TableWriter]:
        """Open a writer for the route's table."""
        return contextlib.nullcontext(ClickHouseWriter(self._connection, route))

    async def mirrored_rows(self, table: str) -> int:
        """Return how many rows a table shows that is kept equal to a view."""
        return await count_rows(self._connection, table)

    def open_mirror(
        self, route: ViewRoute, columns: Sequence[ResultColumn]
    ) -> AbstractAsyncContextManager[MirrorWriter]:
        """Open the route's table for a view with these columns."""
        return open_mirror(self._connection, route, columns)


def _refuse_format(found: str, wanted: str) -> None:
    if found != wanted:
        raise StatementRejectedError(
            f"the statement sets its own FORMAT {found}", hint="leave FORMAT out, and choose it with `--format`"
        )


class _Rows:
    """A result under way; see `ResultStream`."""

    def __init__(self, columns: Sequence[ResultColumn], answer: _Lines | None) -> None:
        self.columns = columns
        self._lines = answer
        converters = [converter(column.type) for column in columns]
        self._converters = [(index, convert) for index, convert in enumerate(converters) if convert]

    async def blocks(self) -> AsyncIterator[Sequence[Sequence[Any]]]:
        """Yield blocks of rows as the server sends them."""
        while self._lines and (lines := await self._lines.next()):
            rows: list[list[Any]] = _decode(lines)
            for index, convert in self._converters:
                for row in rows:
                    row[index] = convert(row[index])
            yield rows


class _Lines:
    """Whole lines of an answer, many at a time."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    async def header(self) -> list[ResultColumn]:
        """Return the columns, which stand in the first two lines."""
        names, types, lines = [*(await self.next(at_least=2)).split(b"\n", 2), b"", b""][:3]
        self._rest = lines + self._rest
        pairs = zip(*_decode(names), *_decode(types), strict=True)
        return [ResultColumn(name, type_name) for name, type_name in pairs]

    async def next(self, *, at_least: int = 1) -> bytes:
        """Return lines; nothing at the end."""
        parts = [self._rest]
        count = self._rest.count(b"\n")
        while count < at_least:
            chunk = await anext(self._chunks, b"")
            if not chunk:
                self._rest = b""
                return b"".join(parts)
            parts.append(chunk)
            count += chunk.count(b"\n")
        lines, end, self._rest = b"".join(parts).rpartition(b"\n")
        return lines + end


def _decode(lines: bytes) -> list[Any]:
    import msgspec

    try:
        return msgspec.json.Decoder().decode_lines(lines)
    except msgspec.DecodeError as error:
        raise StatementRejectedError(
            f"ClickHouse broke the result off: {lines[-500:].decode(errors='replace')}"
        ) from error
