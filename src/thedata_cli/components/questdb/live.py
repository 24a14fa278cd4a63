"""A connected QuestDB: observes and changes tables and views, runs queries, writes rows, and is examined."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import ResultStream, TableWriter
from thedata_cli.component_api.routes import Route
from thedata_cli.components.questdb.connection import Connection
from thedata_cli.components.questdb.doctor import check_server
from thedata_cli.components.questdb.ledger import READ_LEDGER, read_entries
from thedata_cli.components.questdb.observed import (
    READ_TABLES,
    READ_VIEWS,
    LiveTable,
    columns_by_table,
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
    """An open connection (`LiveComponent`, `CanQuery`, `CanExportParquet`, `CanWrite`)."""

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
        tables = live_tables(await self._connection.rows(READ_TABLES))
        columns = await self._columns(tables)
        views = await self._connection.rows(READ_VIEWS)
        return resources_of(tables, columns, views, await self._ledger())

    async def normalise(self, desired: Sequence[Resource]) -> Sequence[Resource]:
        """Return the resources with the symbol capacities that the server has by now: it lets them grow by itself."""
        tables = live_tables(await self._connection.rows(READ_TABLES))
        live = {name: columns.spec for name, columns in (await self._columns(tables)).items()}
        return [_with_grown_symbols(resource, live.get(resource.id.name, {})) for resource in desired]

    async def execute(self, step: Step) -> None:
        """Run one statement, and wait until what it changes has been applied: ALTER goes through the WAL."""
        await self._connection.execute(step.call)
        if match := _ALTERED.match(step.call):
            await wait_until_applied(self._connection, match[1].replace('""', '"'))
        elif match := _REFRESHED.match(step.call):
            await self._wait_until_refreshed(match[1].replace('""', '"'))

    async def check(self) -> Sequence[CheckResult]:
        """Return the doctor's findings."""
        return await check_server(self._connection, self._wanted_version)

    def query(self, sql: str) -> AbstractAsyncContextManager[ResultStream]:
        """Run one statement on a connection of its own."""
        return run_query(self._endpoint, sql)

    def export_parquet(self, sql: str) -> AsyncIterator[bytes]:
        """Yield the bytes of the Parquet file that the server makes of a query."""
        return export_parquet(self._endpoint, sql)

    def open_writer(self, route: Route) -> AbstractAsyncContextManager[TableWriter]:
        """Open a writer for the route's table."""
        return open_writer(self._endpoint, self._connection, route)

    async def _columns(self, tables: Sequence[LiveTable]) -> dict[str, Any]:
        names = [table.name for table in tables]
        columns: dict[str, Any] = {}
        for start in range(0, len(names), _TABLES_AT_ONCE):
            some = names[start : start + _TABLES_AT_ONCE]
            columns.update(columns_by_table(some, await self._connection.rows(read_columns(some))))
        return columns

    async def _ledger(self) -> Mapping[tuple[str, str], Any]:
        try:
            return read_entries(await self._connection.rows(READ_LEDGER))
        except StatementRejectedError as error:
            if "table does not exist" in error.message:
                return {}
            raise

    async def _wait_until_refreshed(self, view: str) -> None:
        """Wait until a refresh has ended, well or not: an invalid view is a difference that the next plan shows."""
        state = f"SELECT view_status FROM materialized_views() WHERE view_name = {literal(view)}"
        was_refreshing = False
        async for waited_s in moments():
            rows = await self._connection.rows(state)
            is_refreshing = bool(rows) and rows[0][0] == "refreshing"
            was_refreshing = was_refreshing or is_refreshing
            if not is_refreshing and (was_refreshing or rows[0][0] == "valid" or waited_s > 1):
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
