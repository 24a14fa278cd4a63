"""Running queries: typed rows in blocks, or the Parquet file that the server makes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import ResultColumn
from thedata_cli.components.questdb.connection import QuestDBServer
from thedata_cli.components.questdb.login import PASSWORD, USER
from thedata_cli.components.questdb.sql_text import place, plain_query
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError
from thedata_cli.postgres_client import query as postgres_query
from thedata_cli.postgres_client.query import PostgresResult
from thedata_cli.postgres_client.server import STATEMENT_LIMIT_S

if TYPE_CHECKING:
    import psycopg

# The wire has PostgreSQL's types: SYMBOL, STRING and the like arrive as text, BYTE as SHORT, DATE as TIMESTAMP.
_TYPE_NAMES = {
    16: "BOOLEAN", 17: "BINARY", 18: "CHAR", 20: "LONG", 21: "SHORT", 23: "INT", 700: "FLOAT", 701: "DOUBLE",
    1022: "DOUBLE[]", 1042: "CHAR", 1043: "VARCHAR", 1114: "TIMESTAMP", 1700: "DECIMAL", 2950: "UUID",
}  # fmt: skip


@asynccontextmanager
async def run_query(endpoint: Endpoint, sql: str) -> AsyncIterator[PostgresResult]:
    """Run one statement on a connection of its own, which is closed, and the query with it, at the end."""
    if not plain_query(sql):
        raise StatementRejectedError("QuestDB: the statement is empty")

    async def columns_of_nothing(connection: psycopg.AsyncConnection[Any]) -> list[ResultColumn]:
        import psycopg

        try:
            return _result_columns(await connection.execute(f"SELECT * FROM ({plain_query(sql)}) LIMIT 0"))
        except psycopg.Error:
            return []

    server = QuestDBServer(endpoint)
    async with postgres_query.run_query(
        server, sql, columns_of=_result_columns, columns_of_nothing=columns_of_nothing
    ) as result:
        yield result


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
