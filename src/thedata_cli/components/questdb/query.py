"""Running queries: typed rows in blocks, or the Parquet file that the server makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import ResultColumn
from thedata_cli.components.questdb.connection import STATEMENT_LIMIT_S, open_connection, translated
from thedata_cli.components.questdb.login import PASSWORD, USER
from thedata_cli.components.questdb.sql_text import place, plain_query
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError

if TYPE_CHECKING:
    import psycopg

_BLOCK_ROWS = 2000

# The wire has PostgreSQL's types: SYMBOL, STRING and the like arrive as text, BYTE as SHORT, DATE as TIMESTAMP.
_TYPE_NAMES = {
    16: "BOOLEAN", 17: "BINARY", 18: "CHAR", 20: "LONG", 21: "SHORT", 23: "INT", 700: "FLOAT", 701: "DOUBLE",
    1022: "DOUBLE[]", 1042: "CHAR", 1043: "VARCHAR", 1114: "TIMESTAMP", 1700: "DECIMAL", 2950: "UUID",
}  # fmt: skip


class QuestDBResult:
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


async def _blocks(
    first: list[tuple[Any, ...]], rows: _Rows, sql: str, endpoint: Endpoint
) -> AsyncIterator[Sequence[Sequence[Any]]]:
    block = first
    while block:
        yield block
        async with translated(sql, endpoint):
            block = await rows.take(_BLOCK_ROWS)


@asynccontextmanager
async def run_query(endpoint: Endpoint, sql: str) -> AsyncIterator[QuestDBResult]:
    """Run one statement on a connection of its own, which is closed, and the query with it, at the end."""
    if not plain_query(sql):
        raise StatementRejectedError("QuestDB: the statement is empty")
    connection = await open_connection(endpoint)
    try:
        rows = _Rows(connection, sql)
        first, has_result = await _first_row(rows, sql, endpoint)
        columns = _result_columns(rows.cursor)
        if has_result and not first:
            columns = await _columns_of_nothing(connection, sql)
        yield QuestDBResult(columns, _blocks(first, rows, sql, endpoint))
    finally:
        await connection.close()


async def _first_row(rows: _Rows, sql: str, endpoint: Endpoint) -> tuple[list[tuple[Any, ...]], bool]:
    """Return the first row, if there is one, and whether the statement has a result at all."""
    import psycopg

    async with translated(sql, endpoint):
        try:
            return await rows.take(1), True
        except psycopg.ProgrammingError as error:
            # The driver's own word for a statement that ran and has no result; the server's errors have a severity.
            if error.diag.severity:
                raise
            return [], False


async def _columns_of_nothing(connection: psycopg.AsyncConnection[Any], sql: str) -> list[ResultColumn]:
    """Return the columns of a query that found no rows: the driver tells them only with a row."""
    import psycopg

    try:
        return _result_columns(await connection.execute(f"SELECT * FROM ({plain_query(sql)}) LIMIT 0"))
    except psycopg.Error:
        return []


def _result_columns(cursor: psycopg.AsyncCursor[Any]) -> list[ResultColumn]:
    return [
        ResultColumn(column.name, _TYPE_NAMES.get(column.type_code, "VARCHAR")) for column in cursor.description or ()
    ]


async def export_parquet(endpoint: Endpoint, sql: str) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of the Parquet file that the server makes of a query.

    Raises:
        StatementRejectedError: The server refuses the query.
        ServiceUnreachableError: It does not answer, or the file ends too early.
    """
    import httpx

    address = f"{endpoint.host}:{endpoint.ports['http']}"
    try:
        async with (
            httpx.AsyncClient(
                base_url=f"http://{address}",
                auth=httpx.BasicAuth(USER, endpoint.secrets.get(PASSWORD, "")),
                timeout=STATEMENT_LIMIT_S,
                trust_env=False,
            ) as client,
            client.stream("GET", "/exp", params={"query": sql, "fmt": "parquet"}) as response,
        ):
            if response.status_code != 200:
                raise _refusal(response.status_code, await response.aread(), sql, address)
            async for chunk in response.aiter_bytes():
                yield chunk
    except httpx.HTTPError as error:
        raise ServiceUnreachableError(
            f"QuestDB at {address} does not answer: {error}", hint="start it with `thedata up`"
        ) from error


def _refusal(status: int, body: bytes, sql: str, address: str) -> StatementRejectedError | ServiceUnreachableError:
    import json

    if status in (401, 403):
        return ServiceUnreachableError(f"QuestDB at {address} refuses the login of user `{USER}`")
    try:
        answer = json.loads(body)
        line, column = place(sql, int(answer["position"]) + 1)
        return StatementRejectedError(f"QuestDB: {answer['error']}", line=line, column=column)
    except (ValueError, KeyError, TypeError):
        return StatementRejectedError(f"QuestDB: {body[:500].decode(errors='replace')} (HTTP {status})")
