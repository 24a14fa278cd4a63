"""The tables and views that a server has, as resources."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from thedata_cli.components.clickhouse.connection import Connection
from thedata_cli.components.clickhouse.kinds import COMPONENT
from thedata_cli.components.clickhouse.sql import literal, settings_of, table_clauses, tokens, unqualified
from thedata_cli.components.clickhouse.statements import read_mark
from thedata_cli.plan.resources import JsonValue, Resource, ResourceId

COLUMNS = "SELECT table, name, type, default_kind, default_expression, compression_codec, comment FROM system.columns"


async def read_owner(connection: Connection) -> str | None:
    """Return the project that made the project's database: empty when none did, None when it does not exist."""
    rows = await connection.rows(f"SELECT comment FROM system.databases WHERE name = {literal(connection.database)}")
    return read_mark(rows[0][0])[1] if rows else None


async def read_tables(connection: Connection) -> Sequence[Resource]:
    """Return every table and view of the project's database, foreign ones included."""
    database = literal(connection.database)
    tables, columns = await asyncio.gather(
        connection.rows(
            "SELECT name, engine, engine_full, as_select, comment, total_rows, total_bytes FROM system.tables "
            f"WHERE database = {database} AND NOT is_temporary"
        ),
        connection.rows(f"{COLUMNS} WHERE database = {database} ORDER BY table, position"),
    )
    columns_of = by_table(columns)
    return [_resource(connection.database, row, columns_of.get(row[0], {})) for row in tables]


def by_table(rows: Iterable[Sequence[Any]]) -> Mapping[str, dict[str, JsonValue]]:
    """Return the columns of each table from rows of `COLUMNS`."""
    found: dict[str, dict[str, JsonValue]] = {}
    for table, name, type_name, default_kind, expression, codec, comment in rows:
        found.setdefault(table, {})[name] = {
            "type": type_name,
            "default": f"{default_kind} {expression}" if default_kind else "",
            "codec": codec,
            "comment": comment,
        }
    return found


def _resource(database: str, row: Sequence[Any], columns: Mapping[str, JsonValue]) -> Resource:
    name, engine, engine_full, as_select, full_comment, rows, size = row
    comment, project = read_mark(full_comment)
    if engine == "View":
        spec = view_spec_of(database, as_select, comment)
        return Resource(ResourceId(COMPONENT, "view", name), spec, managed_by=project)
    spec = {**table_spec_of(database, f"ENGINE = {engine_full}", columns, comment), "rows": rows, "bytes": size}
    return Resource(ResourceId(COMPONENT, "table", name), spec, managed_by=project)


def table_spec_of(
    database: str, definition: str, columns: Mapping[str, JsonValue], comment: str
) -> dict[str, JsonValue]:
    """Return the spec of a table from the server's own text of what follows its columns."""
    clauses = table_clauses(definition)
    engine = clauses.get("engine", "")
    order_by = clauses.get("order_by", "")
    settings = settings_of(clauses.get("settings", ""))
    if engine.partition("(")[0].endswith("MergeTree"):
        settings.setdefault("index_granularity", "8192")
    return {
        "database": database,
        "engine": engine,
        "columns": columns,
        "column_order": list(columns),
        "partition_by": clauses.get("partition_by", ""),
        "order_by": order_by,
        "primary_key": clauses.get("primary_key", order_by),
        "ttl": clauses.get("ttl", ""),
        "settings": settings,
        "comment": comment,
    }


def view_spec_of(database: str, query: str, comment: str) -> dict[str, JsonValue]:
    """Return the spec of a view from the server's own text of its query."""
    return {"database": database, "query": unqualified(query, database), "comment": comment}


def after_columns(definition: str) -> str:
    """Return what follows the columns in a CREATE statement of the server.

    Example:
        >>> after_columns("CREATE TEMPORARY TABLE TTL (`a` Int8 DEFAULT f(')')) ENGINE = Memory")
        'ENGINE = Memory'
    """
    end = next(token.end for token in tokens(definition) if token.text == ")" and token.depth == 0)
    return definition[end:].strip()
