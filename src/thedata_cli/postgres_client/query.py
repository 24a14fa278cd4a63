"""Running one query on a connection of its own: typed rows in blocks, never all of them in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.live import ResultColumn
from thedata_cli.postgres_client.server import PostgresServer

if TYPE_CHECKING:
    import psycopg

_BLOCK_ROWS = 2000


class PostgresResult:
    """A running query (`ResultStream`)."""

    def __init__(self, columns: Sequence[ResultColumn], blocks: AsyncIterator[Sequence[Sequence[Any]]]) -> None:
        self._columns = columns
        self._blocks = blocks

    @property
    def columns(self) -> Sequence[ResultColumn]:
        """Names and types; empty for a statement without a result."""
        return self._columns

    def blocks(self) -> AsyncIterator[Sequence[Sequence[Any]]]:
        """Yield the rows, some thousands at a time."""
        return self._blocks


class _Rows:
    """The rows of a running query.

    The driver is kept from noticing that its reader gives up: it would read the result to its end, hours for a large
    one that the server does not stop. The connection is closed first instead.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Any], sql: str) -> None:
        self._connection = connection
        self.cursor = connection.cursor()
        self._rows = self.cursor.stream(sql, size=_BLOCK_ROWS)

    async def take(self, count: int) -> list[tuple[Any, ...]]:
        """Return the next rows; fewer than `count` at the end."""
        reading = asyncio.ensure_future(self._read(count))
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            await self._connection.close()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            raise

    async def _read(self, count: int) -> list[tuple[Any, ...]]:
        block: list[tuple[Any, ...]] = []
        async for row in self._rows:
            block.append(row)
            if len(block) == count:
                break
        return block


@asynccontextmanager
async def run_query(
    server: PostgresServer,
    sql: str,
    *,
    columns_of: Callable[[psycopg.AsyncCursor[Any]], list[ResultColumn]],
    columns_of_nothing: Callable[[psycopg.AsyncConnection[Any]], Awaitable[list[ResultColumn]]],
) -> AsyncIterator[PostgresResult]:
    """Run one statement; its connection is closed, and the query with it, at the end.

    Args:
        server: Where.
        sql: The statement.
        columns_of: Names and types of what a cursor is about to bring.
        columns_of_nothing: The same of the query when it found no rows: the driver tells them only with a row.
    """
    connection = await server.open()
    try:
        rows = _Rows(connection, sql)
        first, has_result = await _first_row(server, rows, sql)
        columns = await columns_of_nothing(connection) if has_result and not first else columns_of(rows.cursor)
        yield PostgresResult(columns, _blocks(server, first, rows, sql))
    finally:
        await connection.close()


async def _first_row(server: PostgresServer, rows: _Rows, sql: str) -> tuple[list[tuple[Any, ...]], bool]:
    """Return the first row, if there is one, and whether the statement has a result at all."""
    import psycopg

    async with server.translated(sql):
        try:
            return await rows.take(1), True
        except psycopg.ProgrammingError as error:
            # The driver's own word for a statement that ran and has no result; the server's errors have a severity.
            if error.diag.severity:
                raise
            return [], False


async def _blocks(
    server: PostgresServer, first: list[tuple[Any, ...]], rows: _Rows, sql: str
) -> AsyncIterator[Sequence[Sequence[Any]]]:
    block = first
    while block:
        yield block
        async with server.translated(sql):
            block = await rows.take(_BLOCK_ROWS)
