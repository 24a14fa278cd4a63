"""A connected QuestDB: observes and changes tables and views, runs queries, writes rows, and is examined."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import ResultColumn, ResultStream, TableWriter
from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.component_api.views import MirrorWriter
from thedata_cli.components.questdb.connection import Connection
from thedata_cli.components.questdb.doctor import check_server
from thedata_cli.components.questdb.ledger import READ_LEDGER, read_entries
from thedata_cli.components.questdb.mirror import count_rows as count_mirrored
from thedata_cli.components.questdb.mirror import open_mirror
from thedata_cli.components.questdb.observed import (
    READ_TABLES,
    READ_VIEWS,
    LiveTable,
    columns_by_table,
    count_rows,
    live_tables,
    read_columns,
    resources_of,
)
from thedata_cli.components.questdb.query import export_parquet, run_query
from thedata_cli.components.questdb.sql_text import literal
from thedata_cli.components.questdb.wal import moments, wait_until_applied
from thedata_cli.components.questdb.writer import open_writer
from thedata_cli.errors import StatementRejectedError
from thedata_cli.health import CheckResult
from thedata_cli.plan.changes import Step
from thedata_cli.plan.resources import JsonValue, Resource

_TABLES_AT_ONCE = 200
_LISTS_DISAGREE_S = 5
_REFRESH_FAILS_S = 5

_ALTERED = re.compile(r'ALTER (?:TABLE|MATERIALIZED VIEW) "((?:[^"]|"")+)"')
_REFRESHED = re.compile(r'REFRESH MATERIALIZED VIEW "((?:[^"]|"")+)"')


@asynccontextmanager
async def connect(endpoint: Endpoint, *, wanted_version: str) -> AsyncIterator[QuestDBLive]:
    """Connect, and close at the end.

    Raises:
        ServiceUnreachableError: On entering, when QuestDB does not answer or refuses the login.
    """
    live = QuestDBLive(endpoint, wanted_version)
    await live.version()
    try:
        yield live
    finally:
        await live.close()


class QuestDBLive:
    """An open connection (`LiveComponent`, `CanQuery`, `CanExportParquet`, `CanWrite`, `CanMirror`)."""

    def __init__(self, endpoint: Endpoint, wanted_version: str) -> None:
        self._endpoint = endpoint
        self._wanted_version = wanted_version
        self._connection = Connection(endpoint)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def version(self) -> str:
        """Return the version the server reports."""
        return await self._connection.server_version()

    async def observe(self) -> Sequence[Resource]:
        """Return every table and materialized view."""
        tables, views = await self._tables_and_views()
        tables = await self._counted(tables)
        return resources_of(tables, await self._columns(tables), views, await self._ledger())

    async def normalise(self, desired: Sequence[Resource]) -> Sequence[Resource]:
        """Return the resources with the symbol capacities that the server has by now: it lets them grow by itself."""
        tables = live_tables(await self._connection.rows(READ_TABLES))
        live = {name: columns.spec for name, columns in (await self._columns(tables)).items()}
        return [_with_grown_symbols(resource, live.get(resource.id.name, {})) for resource in desired]

    async def execute(self, step: Step) -> None:
        """Run one statement, and wait until what it changes has been applied: the server only queues much of it."""
        if match := _REFRESHED.match(step.call):
            await self._refresh(match[1].replace('""', '"'), step.call)
            return
        await self._connection.execute(step.call)
        if match := _ALTERED.match(step.call):
            await wait_until_applied(self._connection, match[1].replace('""', '"'))

    async def check(self) -> Sequence[CheckResult]:
        """Return the doctor's findings."""
        return await check_server(self._connection, self._wanted_version)

    def query(self, sql: str) -> AbstractAsyncContextManager[ResultStream]:
        """Run one statement on a connection of its own."""
        return run_query(self._endpoint, sql)

    def export_parquet(self, sql: str) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the Parquet file that the server makes of a query."""
        return export_parquet(self._endpoint, sql)

    def open_writer(self, route: Route) -> AbstractAsyncContextManager[TableWriter]:
        """Open a writer for the route's table."""
        return open_writer(self._endpoint, self._connection, route)

    async def mirrored_rows(self, table: str) -> int:
        """Return how many rows a table shows that is kept equal to a view."""
        return await count_mirrored(self._connection, table)

    def open_mirror(
        self, route: ViewRoute, columns: Sequence[ResultColumn]
    ) -> AbstractAsyncContextManager[MirrorWriter]:
        """Open the route's table for a view with these columns."""
        return open_mirror(self._endpoint, self._connection, route, columns)

    async def _columns(self, tables: Sequence[LiveTable]) -> dict[str, Any]:
        names = [table.name for table in tables]
        columns: dict[str, Any] = {}
        for start in range(0, len(names), _TABLES_AT_ONCE):
            some = names[start : start + _TABLES_AT_ONCE]
            columns.update(columns_by_table(some, await self._connection.rows(read_columns(some))))
        return columns

    async def _counted(self, tables: Sequence[LiveTable]) -> list[LiveTable]:
        """Count the rows of tables whose count the server does not know, so that an empty one is known to be empty."""
        names = [table.name for table in tables if table.rows is None and not table.is_view]
        counts: dict[str, int] = {}
        for start in range(0, len(names), _TABLES_AT_ONCE):
            counts.update(await self._connection.rows(count_rows(names[start : start + _TABLES_AT_ONCE])))
        return [replace(table, rows=counts.get(table.name, table.rows)) for table in tables]

    async def _ledger(self) -> Mapping[tuple[str, str], Any]:
        try:
            return read_entries(await self._connection.rows(READ_LEDGER))
        except StatementRejectedError as error:
            if "table does not exist" in error.message:
                return {}
            raise

    async def _tables_and_views(self) -> tuple[list[LiveTable], list[tuple[Any, ...]]]:
        """Read both lists until they agree: a view that is being made or refreshed may miss in one."""
        tables: list[LiveTable] = []
        views: list[tuple[Any, ...]] = []
        async for waited_s in moments():
            tables = live_tables(await self._connection.rows(READ_TABLES))
            views = await self._connection.rows(READ_VIEWS)
            if {table.name for table in tables if table.is_view} == {view[0] for view in views}:
                break
            if waited_s > _LISTS_DISAGREE_S:
                break
        return tables, views

    async def _refresh(self, view: str, sql: str) -> None:
        """Refresh a view and wait for the end; one that fails leaves the view invalid, which the next plan shows."""
        state = (
            "SELECT view_status, last_refresh_start_timestamp, last_refresh_finish_timestamp "
            f"FROM materialized_views() WHERE view_name = {literal(view)}"
        )
        before = await self._connection.rows(state)
        await self._connection.execute(sql)
        async for waited_s in moments():
            now = await self._connection.rows(state)
            if not now or now[0][0] == "refreshing":
                continue
            status, start, finish = now[0]
            is_new = not before or start != before[0][1]
            if status == "valid" and is_new and finish is not None and finish >= start:
                return
            if status == "invalid" and waited_s > _REFRESH_FAILS_S:
                return


def _with_grown_symbols(desired: Resource, live: Mapping[str, Mapping[str, JsonValue]]) -> Resource:
    columns = desired.spec.get("columns")
    if not isinstance(columns, Mapping):
        return desired
    grown: dict[str, JsonValue] = {}
    for name, column in columns.items():
        assert isinstance(column, Mapping)
        declared, now = column.get("symbol_capacity"), live.get(name, {}).get("symbol_capacity")
        has_grown = isinstance(declared, int) and isinstance(now, int) and now > declared
        grown[name] = {**column, "symbol_capacity": now} if has_grown else column
    return replace(desired, spec={**desired.spec, "columns": grown})
