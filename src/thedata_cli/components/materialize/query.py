"""Running one statement: typed rows in blocks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import ResultColumn
from thedata_cli.component_api.sql_files import SqlMistakeError
from thedata_cli.components.materialize.connection import MaterializeServer
from thedata_cli.components.materialize.sql_text import tokenize
from thedata_cli.errors import StatementRejectedError
from thedata_cli.postgres_client import query as postgres_query
from thedata_cli.postgres_client.query import PostgresResult

if TYPE_CHECKING:
    import psycopg

# Types that PostgreSQL does not have, by their fixed numbers.
_OWN_TYPES = {16460: "uint2", 16462: "uint4", 16464: "uint8", 16552: "mz_timestamp"}


@asynccontextmanager
async def run_query(endpoint: Endpoint, sql: str) -> AsyncIterator[PostgresResult]:
    """Run one statement on a connection of its own, which is closed, and the query with it, at the end."""
    if _is_empty(sql):
        raise StatementRejectedError("Materialize: the statement is empty")
    server = MaterializeServer(endpoint)

    async def columns_of_nothing(connection: psycopg.AsyncConnection[Any]) -> list[ResultColumn]:
        # Only of a query that reads, which may run a second time.
        first = next(token for token in tokenize(sql) if not token.is_symbol(";"))
        if not first.is_word("select", "with", "show", "table", "values"):
            return []
        async with server.translated(sql):
            return result_columns(await connection.execute(sql))

    async with postgres_query.run_query(
        server, sql, columns_of=result_columns, columns_of_nothing=columns_of_nothing
    ) as result:
        yield result


def _is_empty(sql: str) -> bool:
    try:
        return all(token.is_symbol(";") for token in tokenize(sql))
    except SqlMistakeError:
        return False


def result_columns(cursor: psycopg.AsyncCursor[Any]) -> list[ResultColumn]:
    """Return names and types of the columns of a result."""
    return [ResultColumn(column.name, _type_name(column)) for column in cursor.description or ()]


def _type_name(column: psycopg.Column) -> str:
    if column.type_code in _OWN_TYPES:
        return _OWN_TYPES[column.type_code]
    # `type_display` has the modifiers too, such as `numeric(38, 2)`, and the number of an unknown type.
    return column.type_display if not column.type_display.isdigit() else "text"
