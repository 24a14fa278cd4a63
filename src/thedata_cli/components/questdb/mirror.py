"""Keeps a table equal to a view.

The dedup keys are the key of the view, so that a row replaces that with its key. One that has left the view stays, and
is marked as deleted, because QuestDB deletes no single rows. All rows of a change go in one request, which is one
transaction. It is waited for until it is applied: queries then see it, and a table that is suspended is noticed.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import ResultColumn
from thedata_cli.component_api.routes import ViewRoute
from thedata_cli.component_api.view_rows import Key, KeyColumn, Row, ViewRows
from thedata_cli.component_api.views import DELETED_COLUMN, VERSION_COLUMN, ViewChanges, next_version
from thedata_cli.components.questdb.connection import Connection
from thedata_cli.components.questdb.layout import Layout, read_layout, refuse_another
from thedata_cli.components.questdb.line_protocol import LineRejectedError, open_sender, send, to_the_end
from thedata_cli.components.questdb.mirror_columns import encoder, is_decimal, is_key_type
from thedata_cli.components.questdb.sql_text import identifier
from thedata_cli.components.questdb.wal import resume, wait_until_applied
from thedata_cli.errors import StatementRejectedError

if TYPE_CHECKING:
    from questdb import Sender
    from questdb._client import Buffer

_APPLY_HINT = "bring the table up to date with `thedata apply`"


async def count_rows(connection: Connection, table: str) -> int:
    """Return how many rows a table shows that is kept equal to a view.

    Raises:
        StatementRejectedError: There is no such table.
    """
    sql = f"SELECT count() FROM {identifier(table)} WHERE NOT {identifier(DELETED_COLUMN)}"
    return int((await connection.rows(sql))[0][0])


@asynccontextmanager
async def open_mirror(
    endpoint: Endpoint, connection: Connection, route: ViewRoute, columns: Sequence[ResultColumn]
) -> AsyncIterator[QuestDBMirror]:
    """Look at the table, wait until it shows all that was written, and open a connection for writing into it.

    Raises:
        StatementRejectedError: The table is missing, suspended, or cannot be kept equal to the view.
        ServiceUnreachableError: The server does not answer.
    """
    table = route.table.name
    await resume(connection, table)
    await wait_until_applied(connection, table)
    layout = await read_layout(connection, table)
    rows = _rows_of_view(layout, route, [column.name for column in columns])
    highest = await connection.rows(f"SELECT max({identifier(VERSION_COLUMN)}) FROM {identifier(table)}")
    with open_sender(endpoint, has_decimals=any(is_decimal(one.type_name) for one in rows.encoders.values())) as sender:
        yield QuestDBMirror(sender, connection, rows, layout, int(highest[0][0] or 0))


class QuestDBMirror:
    """Writes the changes of a view into one table (`MirrorWriter`)."""

    def __init__(self, sender: Sender, connection: Connection, rows: ViewRows, layout: Layout, version: int) -> None:
        self._sender = sender
        self._connection = connection
        self._rows = rows
        self._layout = layout
        self._version = version

    async def write(self, changes: ViewChanges) -> None:
        """Write changes; when it returns, queries see them, all at once.

        Raises:
            ServiceUnreachableError: The server is down, the outcome is unknown, or it does not apply what it confirmed.
            StatementRejectedError: The table is missing, suspended, or has other columns than before; or a value does
                not fit, which is named with its row's key.
        """
        live = await self._live_keys() if changes.is_snapshot else []
        version = next_version(self._version, changes.until)
        if await to_the_end(self._write, changes, live, version):
            await wait_until_applied(self._connection, self._rows.table)
            # The server confirms rows for a table that was dropped a moment before.
            await refuse_another(self._connection, self._rows.table, self._layout.id)
        self._version = version

    async def _live_keys(self) -> Sequence[Key]:
        """Return the keys of all rows that the table shows, as they are written."""
        columns = ", ".join(identifier(column.name) for column in self._rows.key)
        rows = await self._connection.rows(
            f"SELECT {columns} FROM {identifier(self._rows.table)} WHERE NOT {identifier(DELETED_COLUMN)}"
        )
        return [tuple(str(value) if isinstance(value, uuid.UUID) else value for value in row) for row in rows]

    def _write(self, changes: ViewChanges, live: Sequence[Key], version: int) -> bool:
        """Send all rows in one request; return whether there are any."""
        written, gone = self._rows.split(changes, live)
        buffer = self._sender.new_buffer()
        self._add(buffer, written, {VERSION_COLUMN: version, DELETED_COLUMN: False})
        self._add(buffer, gone, {VERSION_COLUMN: version, DELETED_COLUMN: True})
        if not written and not gone:
            return False
        try:
            send(self._sender, buffer)
        except LineRejectedError as error:
            where = f", in {self._rows.described([*written, *gone][error.line])}" if error.line is not None else ""
            raise StatementRejectedError(f"table {self._rows.table}: {error}{where}", hint=_APPLY_HINT) from error
        return True

    def _add(self, buffer: Buffer, rows: Iterable[Row], marks: Row) -> None:
        from questdb import QuestDBError

        for row in rows:
            values = {**row, **marks}
            at = values.pop(self._layout.timestamp)
            try:
                buffer.row(self._rows.table, columns=values, at=at)
            except QuestDBError as error:
                raise StatementRejectedError(
                    f"table {self._rows.table}: {error}, in {self._rows.described(row)}"
                ) from error


def _rows_of_view(layout: Layout, route: ViewRoute, names: Sequence[str]) -> ViewRows:
    """Return how rows are written, and make sure that the table can be kept equal to the view."""
    table = route.table.name
    for added in (VERSION_COLUMN, DELETED_COLUMN):
        if added in names:
            raise StatementRejectedError(
                f"QuestDB table {table}: the view has a column {added!r}", hint="rename it in the view"
            )
        if added not in layout.types:
            raise StatementRejectedError(f"QuestDB table {table} has no column {added!r}", hint=_APPLY_HINT)
    if layout.timestamp not in route.key or set(layout.keys) != set(route.key):
        raise StatementRejectedError(
            f"QuestDB table {table} cannot be kept equal to a view with the key {', '.join(route.key)}: its dedup "
            f"keys are {', '.join(layout.keys) or 'none'}",
            hint=_APPLY_HINT,
        )
    encoders = {}
    for name in names:
        if name not in layout.types:
            raise StatementRejectedError(
                f"QuestDB table {table} has no column {name!r}", hint=f"declare {name} as the view has it"
            )
        type_, is_key = layout.types[name], name in route.key
        written = encoder(type_, is_key=is_key, is_designated=name == layout.timestamp)
        if written is None or (is_key and not is_key_type(type_)):
            raise StatementRejectedError(
                f"QuestDB table {table}: column {name} is {type_}, "
                + ("whose values cannot be told apart" if written else "which cannot be written"),
                hint="give it another type",
            )
        encoders[name] = written
    return ViewRows(table, encoders, [KeyColumn(name) for name in route.key])
