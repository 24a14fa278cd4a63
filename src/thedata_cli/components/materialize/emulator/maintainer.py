"""Keeps materialized views up to date: one tick after another, each at one timestamp and in one transaction.

A tick gives a time to what clients committed, computes every view that reads something that changed, and logs what
changed in it. Definitions change inside a tick too, so that each of them happens at a time. All of a tick sees one
snapshot of the backend, taken at a moment when no webhook request is half written; every change of a table in that
snapshot gets the time of the tick, and none other does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from thedata_cli.components.materialize.emulator import storage
from thedata_cli.components.materialize.emulator.catalog import Catalog, CatalogObject
from thedata_cli.components.materialize.emulator.clock import Clock
from thedata_cli.components.materialize.emulator.errors import LOCK_NOT_AVAILABLE, EmulatorError, describe
from thedata_cli.components.materialize.emulator.refresh import Refresher
from thedata_cli.components.materialize.emulator.removal import remove_orphans
from thedata_cli.components.materialize.emulator.statements import MATERIALIZED_VIEW

if TYPE_CHECKING:
    from psycopg import AsyncConnection

Result = TypeVar("Result")
Definition = Callable[["AsyncConnection[Any]", int], Awaitable[Result]]

_INTERVAL_S = 0.1
_INTERVAL_WAITED_FOR_S = 0.02
_IDLE_S = 1.0
_TRIM_S = 5.0
_LOCK_LIMIT_S = 5.0
_LOCK_ATTEMPT_MS = 50
_LOCK_PAUSE_S = 0.2


class Maintainer:
    """The only writer of materialized views, logs and definitions."""

    def __init__(
        self, connection: AsyncConnection[Any], catalog: Catalog, frontier: int, log: Callable[[str], None]
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._log = log
        self._refresher = Refresher(connection, catalog, log)
        self.clock = Clock(frontier)
        self.frontier = frontier
        """The time up to which everything is computed."""
        self.webhook_lock = asyncio.Lock()
        """Held while rows of webhooks are written, and while a tick takes its snapshot."""
        self._tick_lock = asyncio.Lock()
        self._tables_written = True
        self._received: set[str] = set()
        self._wake = asyncio.Event()
        self._waiters = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._holds: dict[int, tuple[str, int]] = {}
        self._hold_numbers = itertools.count()
        self._trimmed_at = time.monotonic()
        self._last_tick_s = 0.0

    def note_table_write(self) -> None:
        """Tell that a client may have changed tables."""
        self._tables_written = True
        self._wake.set()

    def note_webhook(self, object_id: str) -> None:
        """Tell that a webhook source has new rows."""
        self._received.add(object_id)
        self._wake.set()

    def recompute(self, view_ids: Collection[str]) -> None:
        """Have views computed in full by the next tick."""
        self._refresher.recompute(view_ids)
        if view_ids:
            self.note_table_write()

    def forget_plans(self) -> None:
        """Have every view computed in full once: names in the plans have changed."""
        self._refresher.forget_plans()

    @property
    def _is_dirty(self) -> bool:
        return bool(self._received) or self._tables_written

    async def run(self) -> None:
        """Tick as long as the process lives."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), min(_IDLE_S, self._refresher.due_in_s()))
            self._wake.clear()
            started = time.monotonic()
            try:
                await self.tick()
            except Exception as error:
                self._log(f"a tick failed: {describe(error)}")
            pause = _INTERVAL_WAITED_FOR_S if self._waiters else _INTERVAL_S
            await asyncio.sleep(max(0.0, max(pause, self._last_tick_s) - (time.monotonic() - started)))

    async def define(self, definition: Definition[Result]) -> Result:
        """Run a change of definitions at the end of a tick of its own.

        It waits for open transactions that read what it changes; ticks go on meanwhile.

        Raises:
            EmulatorError: The definition was refused; nothing is changed then.
        """
        result: list[Result] = []

        async def run(connection: AsyncConnection[Any], timestamp: int) -> None:
            await connection.execute(f"SET LOCAL lock_timeout = {_LOCK_ATTEMPT_MS}")
            result.append(await definition(connection, timestamp))
            await connection.execute("RESET lock_timeout")

        deadline = time.monotonic() + _LOCK_LIMIT_S
        while not result:
            try:
                await _to_the_end(self.tick(run))
            except EmulatorError as error:
                if error.sqlstate != LOCK_NOT_AVAILABLE:
                    raise
                if time.monotonic() > deadline:
                    message = "an open transaction of another client reads or writes what is to be changed"
                    raise EmulatorError(LOCK_NOT_AVAILABLE, message, hint="end that transaction first") from error
                await asyncio.sleep(_LOCK_PAUSE_S)
        return result[0]

    async def tick(self, definition: Definition[None] | None = None) -> None:
        """Compute everything as of now."""
        async with self._tick_lock:
            started = time.monotonic()
            refused: EmulatorError | None = None
            timestamp = None if definition else await self._pass_time()
            if timestamp is not None:
                self.frontier = timestamp
            else:
                try:
                    refused = await self._transact(definition)
                except BaseException:
                    self._expect_everything()
                    raise
            done, self._done = self._done, asyncio.get_running_loop().create_future()
            done.set_result(None)
            self._last_tick_s = time.monotonic() - started
        if refused:
            raise refused

    def _expect_everything(self) -> None:
        """After a tick that failed: what it took for done is not, and what was learnt in it does not hold."""
        self._refresher = Refresher(self._connection, self._catalog, self._log)
        self._refresher.catalog_changed = True
        self.recompute([one.id for one in self._catalog.materialized_views()])
        self._received.update(one.id for one in self._catalog.objects.values() if one.is_webhook)
        self.note_table_write()

    async def _pass_time(self) -> int | None:
        """Return the time of a tick in which nothing is to be computed; None if something is."""
        async with self.webhook_lock:
            if self._has_work():
                return None
            self._received, self._tables_written = set(), False
            return self.clock.next()

    def _has_work(self) -> bool:
        has_tables = any(one.kind == "table" and not one.is_webhook for one in self._catalog.objects.values())
        has_readers = any(list(self._catalog.users_of(one)) for one in self._received)
        is_due = self._refresher.due_in_s() == 0 or self._is_trim_due()
        return (self._tables_written and has_tables) or has_readers or is_due

    def _is_trim_due(self) -> bool:
        return time.monotonic() - self._trimmed_at > _TRIM_S

    async def _transact(self, definition: Definition[None] | None) -> EmulatorError | None:
        refused: EmulatorError | None = None
        is_trimmed = self._is_trim_due()
        async with self._connection.transaction():
            async with self.webhook_lock:
                timestamp = self.clock.next()
                changed, self._received = self._received, set()
                # Before the snapshot is taken: what clients commit after it is not in it, and they say so only once.
                self._tables_written = False
                await self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                await self._connection.execute("SELECT set_config('mz_emulator.now', %s, true)", [str(timestamp)])
            # Always: the snapshot may hold what a client has committed and not told yet.
            changed |= await self._stamp_tables(timestamp)
            await self._refresher.refresh(self.frontier, timestamp, changed)
            if is_trimmed:
                await self._trim(timestamp)
            await self._connection.execute("UPDATE mz_emulator.instance SET frontier = %s", [timestamp])
            if definition:
                try:
                    async with self._connection.transaction():
                        await definition(self._connection, timestamp)
                except EmulatorError as error:
                    refused = error
        self.frontier = timestamp
        if definition or self._refresher.catalog_changed:
            await self._catalog.load(self._connection)
            self._refresher.catalog_changed = False
        return refused

    async def _stamp_tables(self, timestamp: int) -> set[str]:
        changed = set()
        for one in self._catalog.objects.values():
            if one.kind == "table" and not one.is_webhook:
                cursor = await self._connection.execute(storage.stamp_pending(one, timestamp))
                if cursor.rowcount:
                    changed.add(one.id)
        return changed

    async def _trim(self, timestamp: int) -> None:
        self._trimmed_at = time.monotonic()
        for one in self._catalog.objects.values():
            if one.is_collection and not one.is_webhook:
                bound = min(
                    [timestamp - one.retention_ms, *(at for held, at in self._holds.values() if held == one.id)]
                )
                await self._connection.execute(
                    f"DELETE FROM {one.stored_as('_log')} WHERE {storage.TIMESTAMP} <= {bound}"
                )
        await remove_orphans(self._connection, set(self._catalog.objects))

    async def next_tick(self) -> None:
        """Wait until a tick ends."""
        await asyncio.shield(self._done)

    async def catch_up(self) -> int:
        """Wait until all that was committed before this call is computed, and return the time of that."""
        if self._is_dirty or self._tick_lock.locked():
            with self._waiting():
                started_after = self.clock.next()
                while self.frontier < started_after:
                    self._wake.set()
                    await self.next_tick()
        return self.frontier

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        self._waiters += 1
        try:
            yield
        finally:
            self._waiters -= 1

    def needs_to_catch_up(self, words: Collection[str]) -> bool:
        """Whether a query with these words may read something that is not computed yet."""
        if not self._is_dirty and not self._tick_lock.locked():
            return False
        return any(
            one.name.lower() in words
            for one in self._catalog.objects.values()
            if one.kind == MATERIALIZED_VIEW or (one.kind == "view" and self._reads_materialized(one))
        )

    def _reads_materialized(self, view: CatalogObject) -> bool:
        return any(
            self._catalog.objects[one].kind == MATERIALIZED_VIEW for one in self._catalog.collections_below(view.id)
        )

    def oldest_readable(self, one: CatalogObject) -> int:
        """Return the earliest time as of which an object can be read."""
        return max(one.created_ms, self.frontier - one.retention_ms)

    @contextlib.asynccontextmanager
    async def hold(self, one: CatalogObject, after: int) -> AsyncIterator[Callable[[int], None]]:
        """Keep the changes of an object after a time; the caller moves that time on."""
        key = next(self._hold_numbers)
        self._holds[key] = (one.id, after)

        def move(to: int) -> None:
            self._holds[key] = (one.id, to)

        try:
            yield move
        finally:
            del self._holds[key]


async def _to_the_end(tick: Coroutine[Any, Any, None]) -> None:
    """Wait for a tick, and have it end even when the client that wants it goes away meanwhile."""
    task = asyncio.create_task(tick)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
