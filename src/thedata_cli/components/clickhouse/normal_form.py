"""Declared tables and views in the server's own spelling, and what the server refuses of them.

What the server already has is recognised by one request that formats every expression. All else is created as
temporary tables and views of a session: the server then checks and spells it exactly as it will for the real ones, and
forgets it with the session.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import Any

from thedata_cli.components.clickhouse.blame import table_problems, view_problem
from thedata_cli.components.clickhouse.connection import Connection
from thedata_cli.components.clickhouse.observed import (
    COLUMNS,
    after_columns,
    by_table,
    table_spec_of,
    view_spec_of,
)
from thedata_cli.components.clickhouse.rejections import ServerError
from thedata_cli.components.clickhouse.sql import literal, quoted, unqualified
from thedata_cli.components.clickhouse.statements import table_body
from thedata_cli.errors import InvalidProjectError, Problem
from thedata_cli.plan.resources import JsonValue, Resource, ResourceId, Spec, differences

_SESSION_TIMEOUT_S = "60"
_LONG_QUERY = {"max_query_size": str(64 * 2**20), "max_parser_depth": "10000"}
_TABLE_EXPRESSIONS = ("engine", "partition_by", "order_by", "primary_key", "ttl")


async def normal_form(
    connection: Connection, desired: Sequence[Resource], observed: Mapping[ResourceId, Resource], *, has_database: bool
) -> list[Resource]:
    """Return tables and views as the server would give them back.

    Args:
        connection: To the server.
        desired: Tables and views as declared.
        observed: Those that the server has.
        has_database: Whether the project's database exists.

    Raises:
        InvalidProjectError: The server refuses expressions; all of them.
    """
    formatted = await _formatted(connection, desired)
    unsettled = {
        resource.id: resource
        for resource, quick in zip(desired, formatted, strict=True)
        if resource.id not in observed or differences(observed[resource.id].spec, quick.spec)
    }
    exact: Mapping[ResourceId, Resource] = {}
    if unsettled:
        async with _scratch(connection, has_database=has_database) as scratch:
            exact = await scratch.exact_form(unsettled)
    return [exact.get(resource.id, resource) for resource in formatted]


async def _formatted(connection: Connection, desired: Sequence[Resource]) -> list[Resource]:
    """Return the resources with every expression formatted, in one round trip."""
    texts = sorted({text for resource in desired for text in _expressions(resource)})
    if not texts:
        return list(desired)
    items = ", ".join(map(literal, texts))
    rows = await connection.rows(
        f"SELECT formatQuerySingleLineOrNull(arrayJoin([{items}])) FORMAT JSONCompactEachRow", parameters=_LONG_QUERY
    )
    spelling = {text: row[0] or text for text, row in zip(texts, rows, strict=True)}
    return [replace(resource, spec=_respelt(resource, spelling)) for resource in desired]


def _expressions(resource: Resource) -> Iterable[str]:
    if resource.id.kind == "view":
        yield str(resource.spec["query"])
        return
    columns: Mapping[str, Any] = resource.spec["columns"]  # type: ignore[assignment]
    yield from (f"SELECT {resource.spec[key]}" for key in _TABLE_EXPRESSIONS if resource.spec[key])
    yield from (f"SELECT {column['default'].partition(' ')[2]}" for column in columns.values() if column["default"])


def _respelt(resource: Resource, spelling: Mapping[str, str]) -> Spec:
    spec = dict(resource.spec)
    if resource.id.kind == "view":
        query = str(spec["query"])
        return {**spec, "query": unqualified(spelling[query], str(spec["database"]))}

    def respell(text: str) -> str:
        return spelling[f"SELECT {text}"].removeprefix("SELECT ")

    columns: Mapping[str, Any] = spec["columns"]  # type: ignore[assignment]
    respelt: dict[str, JsonValue] = {}
    for name, column in columns.items():
        kind, _, expression = column["default"].partition(" ")
        respelt[name] = {**column, "default": f"{kind} {respell(expression)}" if kind else ""}
    return {**spec, **{key: respell(str(spec[key])) for key in _TABLE_EXPRESSIONS if spec[key]}, "columns": respelt}


@contextlib.asynccontextmanager
async def _scratch(connection: Connection, *, has_database: bool) -> AsyncIterator[_Scratch]:
    """Open a session for temporary tables, and end it."""
    scratch = _Scratch(connection)
    try:
        # Set once and not with every request: that would cost more than the request itself.
        await scratch.run(f"SET {', '.join(f'{name} = {value}' for name, value in _LONG_QUERY.items())}")
        if has_database:
            await scratch.run(f"USE {quoted(connection.database)}")
        yield scratch
    finally:
        # A server that does not know `close_session` forgets the session by its timeout.
        with contextlib.suppress(ServerError):
            await scratch.run("SELECT 1", close_session="1")


class _Scratch:
    """A session in which tables and views are created for a look at them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parameters = {"session_id": f"thedata-{uuid.uuid4()}", "session_timeout": _SESSION_TIMEOUT_S}

    async def run(self, sql: str, **parameters: str) -> None:
        await self._connection.run(sql, parameters={**self._parameters, **parameters}, has_database=False)

    async def exact_form(self, resources: Mapping[ResourceId, Resource]) -> Mapping[ResourceId, Resource]:
        """Return the resources as the server spells them.

        Raises:
            InvalidProjectError: The server refuses some; all its reasons.
        """
        problems: list[Problem] = []
        refused: set[ResourceId] = set()
        for resource in _in_order(resources):
            if refused.intersection(resource.depends_on):
                refused.add(resource.id)
                continue
            try:
                await self.run(_temporary(resource))
            except ServerError as error:
                refused.add(resource.id)
                if resource.id.kind == "view":
                    problems.append(view_problem(resource, error))
                else:
                    problems += await table_problems(self.run, resource, error)
        if problems:
            raise InvalidProjectError(problems, hint="the reasons are ClickHouse's own words")
        return {resource.id: resource for resource in await self._read(resources.values())}

    async def _read(self, resources: Iterable[Resource]) -> list[Resource]:
        definitions = {
            name: after_columns(text)
            for name, text in await self._rows("SELECT name, create_table_query FROM system.tables WHERE is_temporary")
        }
        columns_of = by_table(await self._rows(f"{COLUMNS} WHERE database = '' ORDER BY table, position"))
        return [
            replace(resource, spec=_spec_of(resource, definitions[resource.id.name], columns_of[resource.id.name]))
            for resource in resources
        ]

    async def _rows(self, sql: str) -> list[Sequence[Any]]:
        return await self._connection.rows(f"{sql} FORMAT JSONCompactEachRow", parameters=self._parameters)


def _spec_of(resource: Resource, definition: str, columns: Mapping[str, JsonValue]) -> Spec:
    database, comment = str(resource.spec["database"]), str(resource.spec["comment"])
    if resource.id.kind == "view":
        return view_spec_of(database, definition.removeprefix("AS "), comment)
    return table_spec_of(database, definition, columns, comment)


def _temporary(resource: Resource) -> str:
    name = quoted(resource.id.name)
    if resource.id.kind == "view":
        query = unqualified(str(resource.spec["query"]), str(resource.spec["database"]))
        return f"CREATE TEMPORARY VIEW {name} AS\n{query}"
    return f"CREATE TEMPORARY TABLE {name}\n{table_body(resource.spec)}"


def _in_order(resources: Mapping[ResourceId, Resource]) -> list[Resource]:
    """Order resources so that what a view reads is there before it."""
    sorter = TopologicalSorter(
        {name: [other for other in resource.depends_on if other in resources] for name, resource in resources.items()}
    )
    return [resources[name] for name in sorter.static_order()]
