"""Writes the rows of a stream's route into its table, and tells which of them the table does not accept."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.contracts import SEQUENCE_COLUMN
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import Batch, RejectedRow
from thedata_cli.component_api.routes import Route
from thedata_cli.components.questdb.connection import Connection
from thedata_cli.components.questdb.layout import read_layout
from thedata_cli.components.questdb.line_protocol import LineRejectedError, open_sender, send, to_the_end
from thedata_cli.components.questdb.rows import RowWriter, UnstorableError
from thedata_cli.components.questdb.sql_text import identifier
from thedata_cli.components.questdb.wal import resume, wait_until_applied, wal_state
from thedata_cli.errors import StatementRejectedError

if TYPE_CHECKING:
    from questdb import Sender

_CHECK_SUSPENDED_EVERY_S = 2.0


@asynccontextmanager
async def open_writer(endpoint: Endpoint, connection: Connection, route: Route) -> AsyncIterator[QuestDBWriter]:
    """Look at the table, and open a connection for writing into it.

    Raises:
        StatementRejectedError: The table is missing, suspended, or has a column that the contract does not fit.
        ServiceUnreachableError: The server does not answer.
    """
    name = route.target.name
    layout = await read_layout(connection, name)
    rows = RowWriter(name, route.contract, layout.types, layout.timestamp)
    await resume(connection, name)
    with open_sender(endpoint) as sender:
        yield QuestDBWriter(sender, connection, rows)


class QuestDBWriter:
    """Writes batches into one table (`TableWriter`)."""

    def __init__(self, sender: Sender, connection: Connection, rows: RowWriter) -> None:
        self._sender = sender
        self._connection = connection
        self._rows = rows
        self._next_check = time.monotonic() + _CHECK_SUSPENDED_EVERY_S

    async def highest_sequence(self) -> int:
        """Return the highest `_sequence` in the table, 0 when it has none; what is confirmed is waited for.

        Raises:
            ServiceUnreachableError: The server is down, or does not apply what it has confirmed.
            StatementRejectedError: The table or its sequence column is missing, or the table is suspended.
        """
        await wait_until_applied(self._connection, self._rows.table)
        sequence, table = identifier(SEQUENCE_COLUMN), identifier(self._rows.table)
        rows = await self._connection.rows(f"SELECT max({sequence}) FROM {table}")
        return int(rows[0][0] or 0)

    async def write(self, batch: Batch) -> Sequence[RejectedRow]:
        """Write a batch; the write-ahead log has all rows but the returned ones.

        Raises:
            ServiceUnreachableError: The server is down or the outcome is unknown.
            StatementRejectedError: The table is missing, suspended, or has other columns than before.
        """
        await self._refuse_suspended()
        rows = await self._missing(batch)
        rejected = await to_the_end(self._write_all, rows)
        if rejected:
            await self._refuse_changed()
        return rejected

    async def _refuse_suspended(self) -> None:
        """Stop writing into a table that no longer applies what it is given: it would only fill the disk."""
        if time.monotonic() >= self._next_check:
            await wal_state(self._connection, self._rows.table)
            self._next_check = time.monotonic() + _CHECK_SUSPENDED_EVERY_S

    async def _refuse_changed(self) -> None:
        """Do not blame rows for a column that has got another type since the table was looked at."""
        types = (await read_layout(self._connection, self._rows.table)).types
        if any(types.get(name) != type_ for name, type_ in self._rows.types.items()):
            raise StatementRejectedError(
                f"QuestDB table {self._rows.table} has changed while it was written",
                hint="the next attempt looks at the table anew",
            )

    async def _missing(self, batch: Batch) -> Sequence[Any]:
        """Return the rows that are not there yet; one with dedup keys replaces them, and needs no look."""
        suspects = set(batch.may_be_present)
        doubtful = [row for row in batch.rows if row.sequence in suspects]
        if not doubtful or (await read_layout(self._connection, self._rows.table)).keys:
            return batch.rows
        await wait_until_applied(self._connection, self._rows.table)
        since, until = self._rows.time_range(doubtful)
        numbers = ", ".join(str(row.sequence) for row in doubtful)
        found = await self._connection.rows(
            f"SELECT {', '.join(map(identifier, self._rows.identity))} FROM {identifier(self._rows.table)} "
            f"WHERE {identifier(self._rows.timestamp)} BETWEEN '{since}' AND '{until}' "
            f"AND {identifier(SEQUENCE_COLUMN)} IN ({numbers})"
        )
        present = set(found)
        return [row for row in batch.rows if row.sequence not in suspects or self._rows.identify(row) not in present]

    def _write_all(self, rows: Sequence[Any]) -> list[RejectedRow]:
        """Write rows in as few requests as the bad ones among them allow."""
        rejected: list[RejectedRow] = []
        begin, size = 0, len(rows)
        while begin < len(rows):
            some = rows[begin : begin + size]
            try:
                self._send(some, rejected)
            except LineRejectedError as error:
                size = self._narrow(some, error, rejected)
                if size == 0:
                    begin, size = begin + 1, 1
                continue
            begin, size = begin + len(some), 2 * size
        return rejected

    def _narrow(self, rows: Sequence[Any], error: LineRejectedError, rejected: list[RejectedRow]) -> int:
        """Return how many rows to try next; 0 when the first of them is the bad one, which is then rejected."""
        bad = error.line if error.line is not None else (0 if len(rows) == 1 else len(rows) // 2)
        if bad == 0 and (error.line is not None or len(rows) == 1):
            rejected.append(RejectedRow(rows[0].sequence, str(error)))
            return 0
        return bad

    def _send(self, rows: Sequence[Any], rejected: list[RejectedRow]) -> None:
        """Send one request with the rows that can be stored."""
        buffer = self._sender.new_buffer()
        sent, unstorable = [], []
        for position, row in enumerate(rows):
            try:
                self._rows.add(buffer, row)
                sent.append(position)
            except UnstorableError as error:
                unstorable.append(RejectedRow(row.sequence, str(error)))
        if sent:
            try:
                send(self._sender, buffer)
            except LineRejectedError as error:
                place = sent[error.line] if error.line is not None else None
                raise LineRejectedError(str(error), place) from error
        rejected.extend(unstorable)
