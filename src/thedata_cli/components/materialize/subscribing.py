"""Following a view: a task of its own reads what the server tells, however long the consumer takes over it.

Materialize cuts off clients that read too slowly. Only whole times are passed on, so that no reader ever sees a state
that the view never had.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import ResultColumn
from thedata_cli.component_api.views import ViewChanges
from thedata_cli.components.materialize.change_buffer import ChangeBuffer, DuplicateKeyError
from thedata_cli.components.materialize.connection import MaterializeServer
from thedata_cli.components.materialize.objects import DATABASE, SCHEMA
from thedata_cli.components.materialize.query import result_columns
from thedata_cli.components.materialize.sql_text import literal, quoted
from thedata_cli.errors import StatementRejectedError

if TYPE_CHECKING:
    import psycopg

_SNAPSHOT_LIMIT_S = 600.0
"""The server may have to compute the view from the beginning first."""

_PROGRESS_LIMIT_S = 60.0
"""The server tells every second how far it is."""

_HEARTBEAT_S = 1.0
_LARGEST_TIME = 2**62
"""Times above it are the server's word for "never again"."""

_APPLY = "create it with `thedata apply`"
_GONE = ("dropped", "does not exist", "unknown catalog item")


class ViewSubscription:
    """A view that is followed (`Subscription`)."""

    def __init__(self, endpoint: Endpoint, view: str, key: Sequence[str], *, has_snapshot: bool) -> None:
        self._server = MaterializeServer(endpoint)
        self._view = view
        self._key = key
        self._has_snapshot = has_snapshot
        self._relation = f"{quoted(DATABASE)}.{quoted(SCHEMA)}.{quoted(view)}"
        self._columns: Sequence[ResultColumn] = ()
        self._buffer = ChangeBuffer((), (), has_snapshot=has_snapshot)
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._is_asking = self._is_late = False
        self._task: asyncio.Task[None] | None = None
        self._news, self._taken = asyncio.Event(), asyncio.Event()

    @property
    def columns(self) -> Sequence[ResultColumn]:
        """Of the view."""
        return self._columns

    async def changes(self) -> AsyncIterator[ViewChanges]:
        """Yield changes for ever, whole times only; see `Subscription`."""
        while True:
            while found := self._buffer.take():
                self._taken.set()
                yield found
            if self._task and self._task.done():
                await self._task
            await self._news.wait()
            self._news.clear()

    async def open(self) -> None:
        """Begin to follow; then `close` must be called, also after a failure."""
        opening = self._task = asyncio.create_task(self._open())
        await asyncio.shield(opening)
        self._task = asyncio.create_task(self._read())
        self._task.add_done_callback(lambda _: self._news.set())

    async def close(self) -> None:
        """Close the connection at once, whatever the server is doing."""
        if self._task:
            if self._is_asking:
                self._hang_up()
            else:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection:
            await self._connection.close()

    async def _open(self) -> None:
        self._connection = await self._server.open()
        found = await self._ask(
            "SELECT 1 FROM mz_catalog.mz_objects o JOIN mz_catalog.mz_schemas s ON s.id = o.schema_id "
            "JOIN mz_catalog.mz_databases b ON b.id = s.database_id "
            f"WHERE o.name = {literal(self._view)} AND s.name = {literal(SCHEMA)} AND b.name = {literal(DATABASE)} "
            "AND o.type IN ('view', 'materialized-view', 'source', 'table')"
        )
        if not await found.fetchall():
            raise StatementRejectedError(f"there is no view {self._view} in Materialize", hint=_APPLY)
        self._columns = result_columns(await self._ask(f"SELECT * FROM {self._relation} LIMIT 0"))
        self._check_key()
        names = [column.name for column in self._columns]
        self._buffer = ChangeBuffer(names, self._key, has_snapshot=self._has_snapshot)
        # Between two fetches nothing is asked while the consumer has enough to do.
        await self._ask("SET idle_in_transaction_session_timeout = 0")
        await self._ask("BEGIN")
        await self._ask(self._statement())

    def _check_key(self) -> None:
        names = [column.name for column in self._columns]
        if missing := [name for name in self._key if name not in names]:
            raise StatementRejectedError(
                f"view {self._view} has no column {missing[0]}, which the key names",
                hint=f"its columns are {', '.join(names)}",
            )

    def _statement(self) -> str:
        envelope = f"ENVELOPE UPSERT (KEY ({', '.join(map(quoted, self._key))})) " if self._key else ""
        options = f"WITH (SNAPSHOT = {'true' if self._has_snapshot else 'false'}, PROGRESS = true)"
        return f"DECLARE c CURSOR FOR SUBSCRIBE {self._relation} {envelope}{options}"

    async def _read(self) -> None:
        """Read until something breaks."""
        while True:
            # Without a time-out, FETCH waits for the first row and returns what is there then.
            fetched = await self._ask("FETCH ALL c")
            with self._server.driver_errors("FETCH ALL c"):
                rows = await fetched.fetchall()
            if not rows:
                await self._repeat_the_end()
            self._add(rows)
            self._news.set()
            while self._buffer.is_full:
                self._taken.clear()
                await self._taken.wait()

    def _add(self, rows: Sequence[Sequence[Any]]) -> None:
        try:
            for row in rows:
                if row[0] > _LARGEST_TIME:
                    self._buffer.end(_now())
                else:
                    self._buffer.add(row)
        except DuplicateKeyError as error:
            names, values = ", ".join(self._key), ", ".join(map(repr, error.key))
            raise StatementRejectedError(
                f"view {self._view} has two rows with the same key: ({names}) = ({values})",
                hint="name columns under `key:` that tell its rows apart, or group the view by them",
            ) from error

    async def _repeat_the_end(self) -> None:
        """Say for ever that nothing changes: the server ends a subscription to what is constant."""
        while True:
            self._buffer.end(_now())
            self._news.set()
            await asyncio.sleep(_HEARTBEAT_S)

    async def _ask(self, sql: str) -> psycopg.AsyncCursor[Any]:
        """Run one statement, for no longer than its time."""
        assert self._connection
        limit_s = _SNAPSHOT_LIMIT_S if self._buffer.needs_snapshot else _PROGRESS_LIMIT_S
        timer = asyncio.get_running_loop().call_later(limit_s, self._give_up)
        self._is_asking = True
        try:
            with self._server.driver_errors(sql):
                return await self._connection.execute(sql)
        except StatementRejectedError as error:
            is_gone = any(words in error.message for words in _GONE)
            raise StatementRejectedError(
                f"view {self._view} cannot be followed: {error.message}",
                hint=_APPLY if is_gone else error.hint, detail=error.detail,
            ) from error  # fmt: skip
        finally:
            timer.cancel()
            self._is_asking = False
            if self._is_late:
                raise self._server.unreachable(f"says nothing of view {self._view} for {limit_s:g} s")

    def _give_up(self) -> None:
        self._is_late = True
        self._hang_up()

    def _hang_up(self) -> None:
        """Break the connection off under the driver: to cancel its call would wait for the server's consent."""
        assert self._connection
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


@contextlib.asynccontextmanager
async def subscribe(
    endpoint: Endpoint, view: str, key: Sequence[str], *, has_snapshot: bool
) -> AsyncIterator[ViewSubscription]:
    """Follow a view on a connection of its own; see `CanSubscribe`."""
    subscription = ViewSubscription(endpoint, view, key, has_snapshot=has_snapshot)
    try:
        await subscription.open()
        yield subscription
    finally:
        await subscription.close()


def _now() -> int:
    return time.time_ns() // 1_000_000
