"""Running queries: typed rows in blocks, or the Parquet file that the server makes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
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


async def _blocks(
    first: tuple[Any, ...] | None, rows: AsyncIterator[tuple[Any, ...]], sql: str, endpoint: Endpoint
) -> AsyncIterator[Sequence[Sequence[Any]]]:
    block = [] if first is None else [first]
    is_last = first is None
    while not is_last:
        async with translated(sql, endpoint):
            async for row in rows:
                block.append(row)
                if len(block) >= _BLOCK_ROWS:
                    break
            else:
                is_last = True
        if block:
            yield block
        block = []


@asynccontextmanager
async def run_query(endpoint: Endpoint, sql: str) -> AsyncIterator[QuestDBResult]:
    """Run one statement on a connection of its own, which is closed, and the query with it, at the end."""
    if not plain_query(sql):
        raise StatementRejectedError("QuestDB: the statement is empty")
    connection = await open_connection(endpoint)
    try:
        cursor = connection.cursor()
        rows = cursor.stream(sql, size=_BLOCK_ROWS)
        first, has_result = await _first_row(rows, sql, endpoint)
        columns = _result_columns(cursor)
        if has_result and first is None:
            columns = await _columns_of_nothing(connection, sql)
        yield QuestDBResult(columns, _blocks(first, rows, sql, endpoint))
    finally:
        await connection.close()


async def _first_row(
    rows: AsyncIterator[tuple[Any, ...]], sql: str, endpoint: Endpoint
) -> tuple[tuple[Any, ...] | None, bool]:
    """Return the first row, None when there is none, and whether the statement has a result at all."""
    import psycopg

    async with translated(sql, endpoint):
        try:
            return await anext(rows, None), True
        except psycopg.ProgrammingError as error:
            # The driver's own word for a statement that ran and has no result; the server's errors have a severity.
            if error.diag.severity:
                raise
            return None, False


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


async def export_parquet(endpoint: Endpoint, sql: str) -> AsyncIterator[bytes]:
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
