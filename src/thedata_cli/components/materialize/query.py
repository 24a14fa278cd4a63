"""Running one statement: typed rows in blocks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import ResultColumn
from thedata_cli.component_api.sql_files import SqlMistakeError
from thedata_cli.components.materialize.connection import open_connection, translated
from thedata_cli.components.materialize.sql_text import tokenize
from thedata_cli.errors import StatementRejectedError

if TYPE_CHECKING:
    import psycopg

_BLOCK_ROWS = 2000

# Types that PostgreSQL does not have, by their fixed numbers.
_OWN_TYPES = {16460: "uint2", 16462: "uint4", 16464: "uint8", 16552: "mz_timestamp"}


class MaterializeResult:
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


@asynccontextmanager
async def run_query(endpoint: Endpoint, sql: str) -> AsyncIterator[MaterializeResult]:
    """Run one statement on a connection of its own, which is closed, and the query with it, at the end."""
    if _is_empty(sql):
        raise StatementRejectedError("Materialize: the statement is empty")
    connection = await open_connection(endpoint)
    try:
        cursor = connection.cursor()
        rows = cursor.stream(sql, size=_BLOCK_ROWS)
        first, has_result = await _first_row(rows, sql, endpoint)
        columns = result_columns(cursor) if first is not None else []
        if has_result and first is None:
            columns = await _columns_of_nothing(connection, sql, endpoint)
        yield MaterializeResult(columns, _blocks(first, rows, sql, endpoint))
    finally:
        await connection.close()


def _is_empty(sql: str) -> bool:
    try:
        return all(token.is_symbol(";") for token in tokenize(sql))
    except SqlMistakeError:
        return False


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


async def _columns_of_nothing(
    connection: psycopg.AsyncConnection[Any], sql: str, endpoint: Endpoint
) -> list[ResultColumn]:
    """Return the columns of a query that found no rows: the driver tells them only with a row.

    Only of one that reads, which may run a second time.
    """
    first = next(token for token in tokenize(sql) if not token.is_symbol(";"))
    if not first.is_word("select", "with", "show", "table", "values"):
        return []
    async with translated(sql, endpoint):
        return result_columns(await connection.execute(sql))


def result_columns(cursor: psycopg.AsyncCursor[Any]) -> list[ResultColumn]:
    """Return names and types of the columns of a result."""
    return [ResultColumn(column.name, _type_name(column)) for column in cursor.description or ()]


def _type_name(column: psycopg.Column) -> str:
    if column.type_code in _OWN_TYPES:
        return _OWN_TYPES[column.type_code]
    # `type_display` has the modifiers too, such as `numeric(38, 2)`, and the number of an unknown type.
    return column.type_display if not column.type_display.isdigit() else "text"


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
