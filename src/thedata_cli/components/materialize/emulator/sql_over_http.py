"""`POST /api/sql`: statements in, rows as JSON out, through the emulator's own SQL port."""

from __future__ import annotations

import json
from typing import Any

import psycopg

from thedata_cli.components.materialize.emulator.postgres import DATABASE, SESSION_USER
from thedata_cli.components.materialize.emulator.tokens import split
from thedata_cli.components.materialize.emulator.webhook_body import BodyError


async def run_sql(port: int, document: Any) -> list[dict[str, Any]]:
    """Run `{"query": …}` or `{"queries": [{"query": …, "params": […]}]}`.

    Raises:
        BodyError: The document has neither.
    """
    queries = _queries(document)
    results: list[dict[str, Any]] = []
    connection = await psycopg.AsyncConnection.connect(
        f"host=127.0.0.1 port={port} user={SESSION_USER} dbname={DATABASE} sslmode=disable", autocommit=True
    )
    async with connection:
        for sql, parameters in queries:
            try:
                results.append(await _run_one(connection, sql, parameters))
            except psycopg.Error as error:
                message = error.diag.message_primary or str(error)
                results.append({"error": {"message": message, "code": error.sqlstate or "XX000"}, "notices": []})
                break
    return results


def _queries(document: Any) -> list[tuple[str, list[str | None]]]:
    if isinstance(document, dict) and isinstance(document.get("query"), str):
        text = document["query"]
        return [(source.sql, []) for source in split(text)]
    if isinstance(document, dict) and isinstance(document.get("queries"), list):
        return [(str(one["query"]), list(one.get("params", []))) for one in document["queries"]]
    raise BodyError(400, 'the body must have "query" or "queries"')


async def _run_one(connection: psycopg.AsyncConnection[Any], sql: str, parameters: list[str | None]) -> dict[str, Any]:
    cursor = psycopg.AsyncRawCursor(connection)
    await cursor.execute(sql.encode(), parameters or None)
    if cursor.description is None:
        return {"ok": cursor.statusmessage, "notices": []}
    columns = [
        {"name": one.name, "type_oid": one.type_code, "type_len": one.internal_size or -1, "type_mod": -1}
        for one in cursor.description
    ]
    rows = [[_as_json(value) for value in row] for row in await cursor.fetchall()]
    return {"tag": cursor.statusmessage, "rows": rows, "desc": {"columns": columns}, "notices": []}


def _as_json(value: Any) -> Any:
    if value is None or isinstance(value, (bool, dict, list)):
        return value
    if isinstance(value, (int, float)):
        return str(value)
    try:
        return value if isinstance(value, str) else json.loads(json.dumps(value, default=str))
    except (TypeError, ValueError):
        return str(value)
