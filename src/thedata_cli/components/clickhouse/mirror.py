"""Keeps a table equal to a view.

Of each key the row with the highest `_version` counts, unless it says that it is gone (`ReplacingMergeTree`, read with
FINAL). All rows of a change go in one INSERT, which makes one block and, without partitions, one part: a reader sees
all of them or none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from thedata_cli.component_api.live import ResultColumn
from thedata_cli.component_api.routes import ViewRoute
from thedata_cli.component_api.view_rows import Key, KeyColumn, ViewRows
from thedata_cli.component_api.views import DELETED_COLUMN, VERSION_COLUMN, ViewChanges, next_version
from thedata_cli.components.clickhouse.column_types import bare_type, type_word
from thedata_cli.components.clickhouse.connection import Connection
from thedata_cli.components.clickhouse.mirror_columns import KEY_TYPES, as_key, as_read_key, encoder
from thedata_cli.components.clickhouse.rejections import ROW_ERRORS, ServerError, row_number, try_again_later
from thedata_cli.components.clickhouse.sql import literal, quoted
from thedata_cli.components.clickhouse.values import RESULT_SETTINGS
from thedata_cli.components.clickhouse.writer import INSERT
from thedata_cli.errors import StatementRejectedError

_APPLY_HINT = "bring the table up to date with `thedata apply`"
_KEYS_FORMAT = {**RESULT_SETTINGS, "default_format": "JSONCompactEachRow"}


async def count_rows(connection: Connection, table: str) -> int:
    """Return how many rows a table shows that is kept equal to a view.

    Raises:
        StatementRejectedError: There is no such table.
    """
    rows = await connection.rows(f"SELECT count() FROM {_full_name(connection, table)} FINAL")
    return int(rows[0][0])


@contextlib.asynccontextmanager
async def open_mirror(
    connection: Connection, route: ViewRoute, columns: Sequence[ResultColumn]
) -> AsyncIterator[ClickHouseMirror]:
    """Look at the table, and give what writes into it.

    Raises:
        StatementRejectedError: The table is missing, or cannot be kept equal to the view.
        ServiceUnreachableError: The server does not answer.
    """
    name = _full_name(connection, route.table.name)
    with try_again_later(route.table.name):
        uuid = await _read_uuid(connection, route.table.name)
        rows_of_view = await _rows_of_view(connection, route, [column.name for column in columns])
        highest = await connection.rows(f"SELECT max({quoted(VERSION_COLUMN)}) FROM {name}")
    yield ClickHouseMirror(connection, route.table.name, uuid, rows_of_view, int(highest[0][0]))


class ClickHouseMirror:
    """The writer of one route from a view; see `MirrorWriter`."""

    def __init__(self, connection: Connection, table: str, uuid: str, rows: ViewRows, version: int) -> None:
        self._connection = connection
        self._table = table
        self._name = _full_name(connection, table)
        self._uuid = uuid
        self._rows = rows
        self._version = version

    async def write(self, changes: ViewChanges) -> None:
        """Write changes; when it returns, the server has confirmed them. A reader sees all of them or none.

        Raises:
            ServiceUnreachableError: The server is down, or may or may not have written them.
            StatementRejectedError: The server refuses, or a value does not fit, which is named with its row's key.
        """
        with try_again_later(self._table):
            live = await self._live_keys() if changes.is_snapshot else []
            version = next_version(self._version, changes.until)
            written, gone = await asyncio.to_thread(self._rows.split, changes, live)
            rows = [
                *({**row, VERSION_COLUMN: version, DELETED_COLUMN: 0} for row in written),
                # No values but the key's: the server then fills in values that fit the columns.
                *({**row, VERSION_COLUMN: version, DELETED_COLUMN: 1} for row in gone),
            ]
            if rows:
                await self._insert(rows)
                await self._refuse_another()
            self._version = version

    async def _refuse_another(self) -> None:
        """Do not go on with changes where the table has been made anew, and lacks all that came before."""
        if await _read_uuid(self._connection, self._table) != self._uuid:
            raise StatementRejectedError(
                f"table {self._name} has been made anew while it was written",
                hint="the next attempt begins with the whole view",
            )

    async def _live_keys(self) -> Sequence[Key]:
        """Return the keys of all rows that the table shows, as the server writes them."""
        columns = ", ".join(quoted(column.name) for column in self._rows.key)
        rows = await self._connection.rows(f"SELECT {columns} FROM {self._name} FINAL", parameters=_KEYS_FORMAT)
        return [tuple(row) for row in rows]

    async def _insert(self, rows: Sequence[Mapping[str, Any]]) -> None:
        import msgspec

        columns = ", ".join(map(quoted, (*self._rows.encoders, VERSION_COLUMN, DELETED_COLUMN)))
        data = await asyncio.to_thread(msgspec.json.Encoder().encode_lines, rows)
        one_block = str(len(rows) + 1)
        try:
            await self._connection.run(
                f"INSERT INTO {self._name} ({columns}) FORMAT JSONEachRow",
                data=data,
                parameters={
                    **INSERT, "max_insert_block_size": one_block, "min_insert_block_size_rows": one_block,
                },
                has_database=False,
            )  # fmt: skip
        except ServerError as error:
            position = row_number(error)
            if error.number not in ROW_ERRORS or position is None or not position < len(rows):
                raise
            reason = error.reason.partition("(at row")[0].rstrip(": ")
            raise StatementRejectedError(
                f"table {self._name}: {reason}, in {self._rows.described(rows[position])}"
            ) from error


async def _read_uuid(connection: Connection, table: str) -> str:
    """Return what tells a table from another that had its name before; empty when there is none."""
    rows = await connection.rows(
        f"SELECT uuid FROM system.tables WHERE database = {literal(connection.database)} AND name = {literal(table)}"
    )
    return str(rows[0][0]) if rows else ""


async def _rows_of_view(connection: Connection, route: ViewRoute, names: Sequence[str]) -> ViewRows:
    """Read the columns of the table and make sure that it can be kept equal to the view."""
    name = _full_name(connection, route.table.name)
    database, table = literal(connection.database), literal(route.table.name)
    columns = await connection.rows(
        "SELECT name, type, default_kind, toYear(toDate32('0001-01-01')) = 1 FROM system.columns "
        f"WHERE database = {database} AND table = {table}"
    )
    if not columns:
        raise StatementRejectedError(f"table {name} does not exist", hint="create it with `thedata apply`")
    types = {column: type_name for column, type_name, kind, _ in columns if kind not in ("MATERIALIZED", "ALIAS")}
    for added in (VERSION_COLUMN, DELETED_COLUMN):
        if added in names:
            raise StatementRejectedError(
                f"the view of table {name} has a column {added!r}", hint="rename it in the view"
            )
    for needed in (*names, VERSION_COLUMN, DELETED_COLUMN):
        if needed not in types:
            raise StatementRejectedError(
                f"table {name} has no column {needed!r} that can be written", hint=_missing_hint(needed)
            )
    found = await connection.rows(
        f"SELECT engine, sorting_key, partition_key FROM system.tables WHERE database = {database} AND name = {table}"
    )
    _refuse_other_key(name, route, found[0] if found else ("", "", ""))
    for column in route.key:
        if "Nullable(" in types[column] or type_word(bare_type(types[column])) not in KEY_TYPES:
            raise StatementRejectedError(
                f"table {name}: {column} is in the key, and values of {types[column]} cannot be told apart",
                hint="a type whose values are exact and always there",
            )
    has_all_years = bool(columns[0][3])
    encoders = {
        column: encoder(types[column], is_key=column in route.key, has_all_years=has_all_years) for column in names
    }
    key = [KeyColumn(column, as_key(types[column]), as_read_key(types[column])) for column in route.key]
    return ViewRows(name, encoders, key)


def _refuse_other_key(name: str, route: ViewRoute, found: Sequence[str]) -> None:
    """Refuse a table in which other rows would replace each other than those of one key, or in which parts are seen."""
    engine, sorting_key, partition_key = found
    sorted_by = sorted(text.strip("` ") for text in sorting_key.split(","))
    if engine != "ReplacingMergeTree" or partition_key or sorted_by != sorted(route.key):
        raise StatementRejectedError(
            f"table {name} cannot be kept equal to a view with the key {', '.join(route.key)}: it is a {engine} "
            f"sorted by {sorting_key or 'nothing'}{f', in partitions by {partition_key}' if partition_key else ''}",
            hint=_APPLY_HINT,
        )


def _missing_hint(column: str) -> str:
    return _APPLY_HINT if column in (VERSION_COLUMN, DELETED_COLUMN) else f"declare {column} as the view has it"


def _full_name(connection: Connection, table: str) -> str:
    return f"{quoted(connection.database)}.{quoted(table)}"
