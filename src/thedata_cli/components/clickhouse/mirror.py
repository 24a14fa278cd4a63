"""Keeps a table equal to a view.

Of each key the row with the highest `_version` counts, unless it says that it is gone (`ReplacingMergeTree`, read with
FINAL). All rows of a change go in one INSERT, which makes one block and, without partitions, one part: a reader sees
all of them or none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thedata_cli.component_api.live import ResultColumn
from thedata_cli.component_api.routes import ViewRoute
from thedata_cli.component_api.view_values import Encoder, MisfitError, shown
from thedata_cli.component_api.views import DELETED_COLUMN, VERSION_COLUMN, ViewChange, ViewChanges, next_version
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

Key = tuple[Any, ...]


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
        layout = await _read_layout(connection, route, [column.name for column in columns])
        rows = await connection.rows(f"SELECT max({quoted(VERSION_COLUMN)}) FROM {name}")
    yield ClickHouseMirror(connection, route.table.name, layout, int(rows[0][0]))


class ClickHouseMirror:
    """The writer of one route from a view; see `MirrorWriter`."""

    def __init__(self, connection: Connection, table: str, layout: _Layout, version: int) -> None:
        self._connection = connection
        self._table = table
        self._name = _full_name(connection, table)
        self._layout = layout
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
            rows = await asyncio.to_thread(self._layout.rows, changes, live, version)
            if rows:
                await self._insert(rows)
            self._version = version

    async def _live_keys(self) -> Sequence[Key]:
        """Return the keys of all rows that the table shows, as the server writes them."""
        columns = ", ".join(map(quoted, self._layout.key))
        rows = await self._connection.rows(f"SELECT {columns} FROM {self._name} FINAL", parameters=_KEYS_FORMAT)
        return [tuple(row) for row in rows]

    async def _insert(self, rows: Sequence[Mapping[str, Any]]) -> None:
        import msgspec

        data = await asyncio.to_thread(msgspec.json.Encoder().encode_lines, rows)
        one_block = str(len(rows) + 1)
        try:
            await self._connection.run(
                f"INSERT INTO {self._name} ({self._layout.column_list}) FORMAT JSONEachRow",
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
                f"table {self._name}: {reason}, in {self._layout.described(rows[position])}"
            ) from error


@dataclass(frozen=True)
class _Layout:
    """How the rows of a view become rows of its table.

    Attributes:
        table: Its name with the database, for messages.
        names: Columns of the view, in its order.
        encoders: Of each of these.
        key: Names of the columns of the key.
    """

    table: str
    names: Sequence[str]
    encoders: Sequence[Encoder]
    key: Sequence[str]

    @property
    def column_list(self) -> str:
        """The columns that an INSERT names."""
        return ", ".join(map(quoted, (*self.names, VERSION_COLUMN, DELETED_COLUMN)))

    def rows(self, changes: ViewChanges, live: Sequence[Key], version: int) -> list[dict[str, Any]]:
        """Return the rows that make the table show the changes.

        A row of a deletion has no values but the key's, because the server then fills in values that fit its columns.

        Args:
            changes: Of the view.
            live: Keys that the table shows, as the server writes them; looked at for a snapshot only.
            version: Of all rows.

        Raises:
            StatementRejectedError: A value does not fit its column, or rows have the same key.
        """
        upserts = [change for change in changes.changes if change.diff > 0]
        deletions = [change for change in changes.changes if change.diff < 0]
        written = self._encoded(upserts, self.names)
        gone: list[Mapping[str, Any]] = [*self._encoded(deletions, self.key)]
        keys = [*self._keys(written), *self._keys(gone)]
        if len(set(keys)) < len(keys):
            self._refuse_double(keys)
        if changes.is_snapshot:
            gone += self._missing(live, set(keys))
        marked = {VERSION_COLUMN: version, DELETED_COLUMN: 1}
        return [
            *({**row, VERSION_COLUMN: version, DELETED_COLUMN: 0} for row in written),
            *({**row, **marked} for row in gone),
        ]

    def described(self, row: Mapping[str, Any]) -> str:
        """Return words for a row by its key."""
        return f"the row with {', '.join(f'{name} = {row[name]}' for name in self.key)}"

    def _encoded(self, changes: Sequence[ViewChange], names: Sequence[str]) -> list[dict[str, Any]]:
        if not changes:
            return []
        by_column = dict(zip(self.names, zip(*(change.values for change in changes), strict=True), strict=True))
        encoded = []
        for name, column in zip(self.names, self.encoders, strict=True):
            if name not in names:
                continue
            try:
                encoded.append(column.encode(by_column[name]))
            except MisfitError as error:
                row = {key: by_column[key][error.position] for key in self.key}
                raise StatementRejectedError(
                    f"table {self.table}: {name}: {shown(error.value)} does not fit {column.type_name}, in "
                    f"{self.described(row)}",
                    hint="give the column a type that holds every value of the view",
                ) from error
        order = [name for name in self.names if name in names]
        return [dict(zip(order, values, strict=True)) for values in zip(*encoded, strict=True)]

    def _keys(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[Key]:
        """Yield the keys of encoded rows in the form in which they are compared."""
        converts = [(name, as_key(self._type(name))) for name in self.key]
        for row in rows:
            yield tuple(convert(row[name]) if convert else row[name] for name, convert in converts)

    def _missing(self, live: Sequence[Key], keys: set[Key]) -> Iterator[Mapping[str, Any]]:
        """Yield those rows of the table that have no other key than the view no longer has."""
        converts = [as_read_key(self._type(name)) for name in self.key]
        for row in live:
            key = tuple(convert(value) if convert else value for convert, value in zip(converts, row, strict=True))
            if key not in keys:
                yield dict(zip(self.key, row, strict=True))

    def _type(self, name: str) -> str:
        return self.encoders[self.names.index(name)].type_name

    def _refuse_double(self, keys: Sequence[Key]) -> None:
        seen: set[Key] = set()
        for key in keys:
            if key in seen:
                row = dict(zip(self.key, key, strict=True))
                raise StatementRejectedError(f"table {self.table}: the view has {self.described(row)} twice")
            seen.add(key)


async def _read_layout(connection: Connection, route: ViewRoute, names: Sequence[str]) -> _Layout:
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
    encoders = [encoder(types[column], is_key=column in route.key, has_all_years=has_all_years) for column in names]
    return _Layout(name, names, encoders, [column for column in names if column in route.key])


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
