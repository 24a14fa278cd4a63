"""Writing rows into one table: line protocol over HTTP, confirmed by the server request by request.

The client of the vendor writes the lines: measured against an encoder of our own in Python it takes a third of the time
per row. A request is all or nothing, and the server names the first line it does not accept. Confirmed means that the
rows are in the write-ahead log, which survives a crash of the server; queries see them a moment later.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.contracts import SEQUENCE_COLUMN
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import Batch, RejectedRow
from thedata_cli.component_api.routes import Route
from thedata_cli.components.questdb.connection import Connection
from thedata_cli.components.questdb.login import PASSWORD, USER
from thedata_cli.components.questdb.observed import (
    READ_TABLES,
    LiveColumns,
    columns_by_table,
    live_tables,
    read_columns,
)
from thedata_cli.components.questdb.rows import RowWriter, UnstorableError
from thedata_cli.components.questdb.sql_text import identifier
from thedata_cli.components.questdb.wal import resume, wait_until_applied, wal_state
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError

if TYPE_CHECKING:
    from questdb import Sender

_REQUEST_LIMIT_MS = 30_000
_REQUEST_BYTES = 2**30
_CHECK_SUSPENDED_EVERY_S = 2.0
_OUTSIDE_THE_ROW = ("table does not exist", "creating new columns is disabled", "creating new tables is disabled")


class LineRejectedError(Exception):
    """The server does not accept one line of a request, and so took none of it.

    Attributes:
        line: Its place in the request, from 0; None when the server does not say.
    """

    def __init__(self, reason: str, line: int | None) -> None:
        super().__init__(reason)
        self.line = line


@asynccontextmanager
async def open_writer(endpoint: Endpoint, connection: Connection, route: Route) -> AsyncIterator[QuestDBWriter]:
    """Look at the table, and open a connection for writing into it.

    Raises:
        StatementRejectedError: The table is missing, suspended, or has a column that the contract does not fit.
        ServiceUnreachableError: The server does not answer.
    """
    from questdb import Protocol, Sender

    rows = await _row_writer(connection, route)
    await resume(connection, route.target.name)
    sender = Sender(
        Protocol.Http,
        endpoint.host,
        endpoint.ports["http"],
        username=USER,
        password=endpoint.secrets.get(PASSWORD, ""),
        auto_flush=False,
        # The worker decides when to try again; a retry down here would hide how long a store has been away.
        retry_timeout=0,
        request_timeout=_REQUEST_LIMIT_MS,
        protocol_version=2,
        max_buf_size=_REQUEST_BYTES,
    )
    sender.establish()  # type: ignore[no-untyped-call]
    try:
        yield QuestDBWriter(sender, connection, rows)
    finally:
        sender.close(flush=False)


async def _row_writer(connection: Connection, route: Route) -> RowWriter:
    """Read the live table, and say how rows are written into it."""
    name = route.target.name
    tables = [table for table in live_tables(await connection.rows(READ_TABLES)) if table.name == name]
    if not tables:
        raise StatementRejectedError(f"QuestDB has no table {name}", hint="create it with `thedata apply`")
    types = _types(await _columns(connection, name))
    return RowWriter(name, route.contract, types, tables[0].timestamp)


async def _columns(connection: Connection, table: str) -> LiveColumns:
    return columns_by_table([table], await connection.rows(read_columns([table])))[table]


def _types(columns: LiveColumns) -> dict[str, str]:
    return {name: str(spec["type"]) for name, spec in columns.spec.items()}


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
        rejected = await _to_the_end(self._write_all, rows)
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
        types = _types(await _columns(self._connection, self._rows.table))
        if any(types.get(name) != type_ for name, type_ in self._rows.types.items()):
            raise StatementRejectedError(
                f"QuestDB table {self._rows.table} has changed while it was written",
                hint="the next attempt looks at the table anew",
            )

    async def _missing(self, batch: Batch) -> Sequence[Any]:
        """Return the rows that are not there yet; one with dedup keys replaces them, and needs no look."""
        suspects = set(batch.may_be_present)
        doubtful = [row for row in batch.rows if row.sequence in suspects]
        if not doubtful or (await _columns(self._connection, self._rows.table)).keys:
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
        from questdb import QuestDBError, QuestDBErrorCode

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
                self._sender.flush(buffer)
            except QuestDBError as error:
                if error.code is QuestDBErrorCode.ServerFlushError:
                    raise _refusal(str(error), sent) from error
                raise _outcome_unknown(str(error), is_login=error.code is QuestDBErrorCode.AuthError) from error
        rejected.extend(unstorable)


async def _to_the_end(write: Callable[[Sequence[Any]], list[RejectedRow]], rows: Sequence[Any]) -> list[RejectedRow]:
    """Run a write in a thread; a cancelled caller waits, because the sender must not be closed under it."""
    task = asyncio.ensure_future(asyncio.to_thread(write, rows))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _refusal(text: str, sent: Sequence[int]) -> Exception:
    """Tell a bad row, by its place among all rows, from a bad table and from a server in trouble."""
    try:
        answer = json.loads(text[text.index("{") :])
        code, message, line = answer["code"], str(answer["message"]), answer.get("line")
    except (ValueError, KeyError, TypeError):
        return ServiceUnreachableError(f"QuestDB did not take the rows: {text}")
    reason = message.splitlines()[-1].split(": ", 1)[-1] if line else message
    if any(words in message for words in _OUTSIDE_THE_ROW):
        return StatementRejectedError(f"QuestDB: {reason}", hint="bring the table up to date with `thedata apply`")
    if code == "invalid":
        return LineRejectedError(reason, sent[line - 1] if isinstance(line, int) else None)
    return ServiceUnreachableError(f"QuestDB did not take the rows: {message}")


def _outcome_unknown(text: str, *, is_login: bool) -> ServiceUnreachableError:
    if is_login:
        return ServiceUnreachableError(f"QuestDB refuses the login of user `{USER}`: {text}")
    return ServiceUnreachableError(f"QuestDB does not answer: {text}", hint="start it with `thedata up`")
