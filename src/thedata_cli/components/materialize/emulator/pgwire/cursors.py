"""Subscriptions of one session: cursors for them, and SUBSCRIBE that streams.

A cursor is one of the backend too, whose query is the batch of changes that is being fetched, so that the rows keep the
format that the client asked for, and are not looked into here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thedata_cli.components.materialize.emulator.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMETER,
    EmulatorError,
    not_supported,
)
from thedata_cli.components.materialize.emulator.pgwire import messages
from thedata_cli.components.materialize.emulator.pgwire.backend import Reply
from thedata_cli.components.materialize.emulator.statements import CopySubscribe, Declare, Fetch, Subscribe, Text
from thedata_cli.components.materialize.emulator.subscribing import Subscribing
from thedata_cli.components.materialize.emulator.subscription import Subscription
from thedata_cli.components.materialize.emulator.tokens import quote_name

if TYPE_CHECKING:
    from thedata_cli.components.materialize.emulator.pgwire.session import Session


@dataclass
class Cursor:
    """One declared cursor.

    Attributes:
        remaining: Rows of the present batch that were not fetched; None when nobody counted them.
    """

    subscription: Subscription
    opened: contextlib.AsyncExitStack
    remaining: int = 0


class Cursors:
    """The cursors of one session that are subscriptions."""

    def __init__(self, session: Session, subscribing: Subscribing) -> None:
        self._session = session
        self._subscribing = subscribing
        self._cursors: dict[str, Cursor] = {}

    def knows(self, name: str | None) -> bool:
        """Whether the cursor is a subscription; without a name, whether any is."""
        return bool(self._cursors) if name is None else name in self._cursors

    async def declare(self, statement: Declare) -> None:
        """Open a subscription under a name."""
        if statement.cursor in self._cursors:
            raise EmulatorError("42P03", f"cursor {statement.cursor!r} already exists")
        # Each batch is read from what is committed then, not from what was when the transaction began.
        await self._session.backend.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        stack = contextlib.AsyncExitStack()
        try:
            subscription = await stack.enter_async_context(self._open(statement.subscribe))
            await self._redeclare(statement.cursor, subscription.empty_batch(), is_new=True)
        except BaseException:
            await stack.aclose()
            raise
        self._cursors[statement.cursor] = Cursor(subscription, stack)

    @contextlib.asynccontextmanager
    async def _open(self, statement: Subscribe) -> AsyncIterator[Subscription]:
        session = self._session
        as_of, up_to = [await self._timestamp(text) for text in (statement.as_of, statement.up_to)]
        async with self._subscribing.open(statement, session.variables, as_of, up_to) as subscription:
            while session.maintainer.frontier < subscription.position:
                await session.wait()
            yield subscription

    async def _timestamp(self, text: Text | None) -> int | None:
        if text is None:
            return None
        try:
            _, rows = await self._session.backend.fetch(f"SELECT (({text.sql})::mz_catalog.mz_timestamp)::bigint")
        except EmulatorError as error:
            raise EmulatorError(error.sqlstate, error.message, position=text.position) from error
        if not rows or rows[0][0] is None:
            raise EmulatorError(INVALID_PARAMETER, "a time must not be NULL", position=text.position)
        return int(rows[0][0])

    async def _redeclare(self, name: str, batch: str, *, is_new: bool = False, scrolls: bool = False) -> None:
        close = "" if is_new else f"CLOSE {quote_name(name)}; "
        scroll = "SCROLL" if scrolls else "NO SCROLL"
        await self._session.backend.run(f"{close}DECLARE {quote_name(name)} {scroll} CURSOR FOR {batch}")

    async def prepare_fetch(self, statement: Fetch) -> str:
        """Wait until there is something to fetch, and return what the backend is to run then."""
        cursor = self._cursors[statement.cursor]
        loop = asyncio.get_running_loop()
        deadline = None if statement.timeout_s is None else loop.time() + statement.timeout_s
        wanted = statement.count
        if not cursor.remaining and wanted != 0:
            await self._wait_for_rows(cursor, wanted, deadline)
            frontier = self._session.maintainer.frontier
            if cursor.subscription.has_batch(frontier):
                await self._redeclare(statement.cursor, cursor.subscription.batch(frontier), scrolls=wanted is not None)
                cursor.subscription.advance(frontier)
                cursor.remaining = 0 if wanted is None else await self._count(statement.cursor)
        return self.fetch_sql(statement)

    @staticmethod
    def fetch_sql(statement: Fetch) -> str:
        """Return FETCH as the backend knows it."""
        count = "ALL" if statement.count is None else str(statement.count)
        return f"FETCH FORWARD {count} FROM {quote_name(statement.cursor)}"

    async def _count(self, name: str) -> int:
        total = (await self._session.backend.run(f"MOVE FORWARD ALL IN {quote_name(name)}")).rows
        await self._session.backend.run(f"MOVE ABSOLUTE 0 IN {quote_name(name)}")
        return total

    async def _wait_for_rows(self, cursor: Cursor, wanted: int | None, deadline: float | None) -> None:
        # As Materialize does: with a time-out, FETCH waits for it unless it has as many rows as it wants;
        # without one, it waits for the first rows and takes what is there then.
        loop = asyncio.get_running_loop()
        while True:
            self.check_alive(cursor.subscription)
            if cursor.subscription.is_over:
                return
            if deadline is None or wanted is not None:
                rows = await self._available(cursor.subscription, 1 if deadline is None else wanted or 1)
                if rows >= (1 if deadline is None else wanted or 1):
                    return
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                return
            await self._session.wait(left)

    async def _available(self, subscription: Subscription, limit: int) -> int:
        frontier = self._session.maintainer.frontier
        if not subscription.has_batch(frontier):
            return 0
        if limit == 1 and (subscription.statement.progress or subscription.needs_snapshot):
            return 1 if subscription.statement.progress else await self._rows(subscription.batch(frontier), 1)
        if limit == 1:
            return await self._rows(subscription.exists(frontier), 1)
        return await self._rows(subscription.batch(frontier), limit)

    async def _rows(self, query: str, limit: int) -> int:
        _, rows = await self._session.backend.fetch(
            f"SELECT count(*) FROM (SELECT FROM ({query}) AS mz_batch LIMIT {limit}) AS mz_rows"
        )
        return int(rows[0][0] or 0)

    def check_alive(self, subscription: Subscription) -> None:
        """Refuse to go on when the object is gone, or cannot be computed."""
        one = self._session.catalog.objects.get(subscription.object.id)
        if one is None:
            name = subscription.object.full_name
            message = f'subscribe has been terminated because underlying relation "{name}" was dropped'
            raise EmulatorError(INTERNAL_ERROR, message)
        if one.error is not None:
            raise EmulatorError(INTERNAL_ERROR, one.error, one.error_detail)

    def fetched(self, statement: Fetch, reply: Reply) -> None:
        """Note how many rows were fetched."""
        cursor = self._cursors.get(statement.cursor)
        if cursor is not None:
            cursor.remaining = 0 if statement.count is None else max(0, cursor.remaining - reply.rows)

    async def close(self, name: str | None) -> None:
        """Close a cursor, or all."""
        for one in [name] if name is not None else list(self._cursors):
            if self._session.status == messages.IN_TRANSACTION:
                await self._session.backend.run(f"CLOSE {quote_name(one)}")
            await self._cursors.pop(one).opened.aclose()

    async def close_all(self) -> None:
        """End all subscriptions, at the end of the transaction."""
        while self._cursors:
            _, cursor = self._cursors.popitem()
            await cursor.opened.aclose()

    async def describe(self, statement: Subscribe) -> bytes:
        """Return the RowDescription of a subscription."""
        async with self._open(statement) as subscription:
            self._session.backend.send(messages.query(subscription.empty_batch()))
            answers = [answer async for answer in self._session.backend.replies()]
        return b"".join(messages.message(kind, payload) for kind, payload in answers if kind == b"T")

    async def stream(self, statement: Subscribe | CopySubscribe, *, describes: bool = True) -> None:
        """Send changes as they come, until UP TO, a cancel request, or the client's end."""
        session = self._session
        copies = isinstance(statement, CopySubscribe)
        subscribe = statement.subscribe if isinstance(statement, CopySubscribe) else statement
        if session.status == messages.IN_TRANSACTION:
            session.transaction.subscribe()
            await session.backend.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        options = f" {statement.options.sql}" if isinstance(statement, CopySubscribe) and statement.options else ""
        if "binary" in options.lower():
            raise not_supported("COPY of a subscription in binary")
        total, is_first = 0, True
        async with self._open(subscribe) as subscription:
            while True:
                frontier = session.maintainer.frontier
                if is_first or (subscription.has_batch(frontier) and await self._available(subscription, 1)):
                    batch = subscription.batch(frontier)
                    sql = f"COPY ({batch}) TO STDOUT{options}" if copies else batch
                    total += await self._send_batch(sql, heads=b"TH" if is_first and describes else b"")
                    subscription.advance(frontier)
                    is_first = False
                elif subscription.has_batch(frontier):
                    subscription.advance(frontier)
                self.check_alive(subscription)
                if subscription.is_over:
                    break
                await session.wait()
        if copies:
            session.say(messages.COPY_DONE)
        session.say(messages.complete(f"{'COPY' if copies else 'SUBSCRIBE'} {total}"))

    async def _send_batch(self, sql: str, heads: bytes) -> int:
        session = self._session
        session.backend.send(messages.query(sql))
        count, waiting, size = 0, [], 0
        fault: EmulatorError | None = None
        async for kind, payload in session.backend.replies():
            if kind in b"dD":
                count += 1
                waiting.append(messages.message(kind, payload))
                size += len(payload)
            elif kind in heads:
                waiting.append(messages.message(kind, payload))
            elif kind == b"E":
                fields = messages.fields_of(payload)
                fault = EmulatorError(fields.get("C", INTERNAL_ERROR), fields.get("M", ""))
            if size > 1 << 16:
                await session.write(b"".join(waiting))
                waiting, size = [], 0
        await session.write(b"".join(waiting))
        if fault:
            raise fault
        return count
