"""One client: its messages in, its transactions, and the simple query protocol."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable

from thedata_cli.components.materialize.emulator import statements as st
from thedata_cli.components.materialize.emulator.catalog import Catalog
from thedata_cli.components.materialize.emulator.commands import Commands
from thedata_cli.components.materialize.emulator.errors import (
    NO_TRANSACTION,
    PROTOCOL_VIOLATION,
    QUERY_CANCELED,
    EmulatorError,
)
from thedata_cli.components.materialize.emulator.maintainer import Maintainer
from thedata_cli.components.materialize.emulator.parse import check_length, parse
from thedata_cli.components.materialize.emulator.parse_select import may_have_foreign_syntax
from thedata_cli.components.materialize.emulator.pgwire import messages
from thedata_cli.components.materialize.emulator.pgwire.backend import BackendConnection, Reply
from thedata_cli.components.materialize.emulator.pgwire.cursors import Cursors
from thedata_cli.components.materialize.emulator.pgwire.extended import ExtendedProtocol
from thedata_cli.components.materialize.emulator.pgwire.transactions import TransactionMode, kind_of
from thedata_cli.components.materialize.emulator.redaction import redacted
from thedata_cli.components.materialize.emulator.show import show_query
from thedata_cli.components.materialize.emulator.subscribing import Subscribing
from thedata_cli.components.materialize.emulator.tokens import Source, quote_text, split
from thedata_cli.components.materialize.emulator.variables import Variables

_LONGEST_MESSAGE = 1 << 30
_SIMPLE_SELECT = re.compile(r"\s*select\b(?![^;]*(?:;\s*\S|\bas\s+of\b))[^;\"]*;?\s*\Z", re.IGNORECASE)


def _is_simple_select(sql: str) -> bool:
    if _SIMPLE_SELECT.match(sql) is None or may_have_foreign_syntax(sql):
        return False
    return "subscribe" not in sql.lower()


class Session:
    """One client's connection, with one connection to the backend behind it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        backend: BackendConnection,
        variables: Variables,
        catalog: Catalog,
        maintainer: Maintainer,
        commands: Commands,
        subscribing: Subscribing,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.backend = backend
        self.variables = variables
        self.catalog = catalog
        self.maintainer = maintainer
        self._commands = commands
        self.transaction = TransactionMode()
        self.status = messages.IDLE
        self.cursors = Cursors(self, subscribing)
        self._extended = ExtendedProtocol(self)
        self._cancelled = asyncio.Event()

    async def run(self) -> None:
        """Serve the client until it leaves."""
        running = asyncio.current_task()
        watcher = asyncio.create_task(self._watch(running))
        try:
            while True:
                kind, payload = await self._read_message()
                self._cancelled.clear()
                if kind == b"X":
                    return
                if kind == b"Q":
                    await self._simple(payload[:-1].decode("utf-8", "replace"))
                elif kind in b"PBDECSH":
                    await self._extended.take(kind, payload)
                elif kind not in b"dcf":
                    raise EmulatorError(PROTOCOL_VIOLATION, f"unexpected message {kind!r}")
                await self._writer.drain()
        finally:
            watcher.cancel()

    async def _watch(self, running: asyncio.Task[None] | None) -> None:
        # A client that vanishes must not leave its query, or its wait for rows, behind.
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        if running:
            running.cancel()

    async def _read_message(self) -> tuple[bytes, bytes]:
        header = await self._reader.readexactly(5)
        size = int.from_bytes(header[1:], "big") - 4
        if not 0 <= size <= _LONGEST_MESSAGE:
            raise EmulatorError(PROTOCOL_VIOLATION, "invalid message length")
        return header[:1], await self._reader.readexactly(size)

    async def write(self, data: bytes) -> None:
        """Send to the client, and wait while it does not read."""
        self._writer.write(data)
        await self._writer.drain()

    def say(self, data: bytes) -> None:
        """Send to the client when there is time."""
        self._writer.write(data)

    async def cancel(self) -> None:
        """Stop what runs: the client asked for it on another connection."""
        self._cancelled.set()
        await self.backend.cancel()

    def end(self, fault: EmulatorError) -> None:
        """Tell the client that the server ends."""
        self._writer.write(messages.error(fault, "FATAL"))

    async def close(self) -> None:
        """Give back what the session held."""
        self.backend.close()
        with contextlib.suppress(EmulatorError):
            await self.cursors.close_all()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Wait for the next tick, or for the time-out.

        Raises:
            EmulatorError: The client cancelled.
        """
        tick = asyncio.ensure_future(self.maintainer.next_tick())
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({tick, cancelled}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tick.cancel()
            cancelled.cancel()
        if self._cancelled.is_set():
            raise EmulatorError(QUERY_CANCELED, "canceling statement due to user request")

    async def _simple(self, sql: str) -> None:
        try:
            check_length(sql)
            if self.status == messages.IDLE and _is_simple_select(sql):
                await self._pass_on(sql, Source(sql, ()), "read", with_ready=True)
                return
            sources = split(sql)
            if not sources:
                self.say(messages.EMPTY_QUERY)
            for source in sources:
                if not await self.run_one(source):
                    break
        except EmulatorError as error:
            await self.fail(redacted(error, sql))
        self.say(messages.ready(self.status))

    async def fail(self, error: EmulatorError) -> None:
        """Send an error; an open transaction fails with it."""
        self.say(messages.error(error))
        await self.fail_transaction()

    async def fail_transaction(self) -> None:
        """Have an open transaction fail in the backend, too, after an error that the backend does not know."""
        if self.status == messages.IN_TRANSACTION:
            with contextlib.suppress(EmulatorError):
                await self.backend.run("SELECT mz_catalog.mz_raise('failed', 'XX000')")
            self.status = messages.FAILED

    async def run_one(self, source: Source) -> bool:
        """Run one statement of a simple query; answers all but ReadyForQuery.

        Returns:
            Whether it went well.
        """
        statement = parse(source)
        if statement is None:
            kind = kind_of(source)
            if self.status == messages.IN_TRANSACTION:
                self.transaction.check(source)
            # Blanks in place of what is before keep the positions of errors right.
            reply = await self._pass_on(" " * source.start + source.sql, source, kind, with_ready=False)
            return not reply.failed
        self.check_not_failed(statement)
        if isinstance(statement, (st.Subscribe, st.CopySubscribe)):
            await self.cursors.stream(statement)
            return True
        if isinstance(statement, st.Fetch):
            return not (await self._fetch(statement, source)).failed
        sql = self.rewritten(statement, source)
        if sql is not None:
            return not (await self._pass_on(sql, source, kind_of(source), with_ready=False)).failed
        await self.execute(statement)
        return True

    def check_not_failed(self, statement: st.Statement) -> None:
        """Refuse a statement in a failed transaction, which only an end can follow."""
        if self.status == messages.FAILED and not isinstance(statement, st.End):
            raise EmulatorError(
                "25P02", "current transaction is aborted, commands ignored until end of transaction block"
            )

    def rewritten(self, statement: st.Statement, source: Source) -> str | None:
        """Return the query that the backend runs in place of a statement; None if none does."""
        if isinstance(statement, st.Show):
            return show_query(statement, self.catalog, self.variables)
        if isinstance(statement, st.ShowVariable):
            return f'SELECT {quote_text(self.variables.get(statement.name))} AS "{statement.name}"'
        if isinstance(statement, st.CloseCursor) and not self.cursors.knows(statement.cursor):
            return source.sql
        return None

    async def _fetch(self, statement: st.Fetch, source: Source) -> Reply:
        if not self.cursors.knows(statement.cursor):
            return await self._pass_on(self.cursors.fetch_sql(statement), source, "", with_ready=False)
        sql = await self.cursors.prepare_fetch(statement)
        reply = await self._exchange(sql, with_ready=False, before_ready=None)
        self.cursors.fetched(statement, reply)
        return reply

    async def execute(self, statement: st.Statement) -> None:
        """Run a statement that has no rows, and say that it is done."""
        if self._commands.knows(statement):
            if self.status == messages.IN_TRANSACTION:
                self.transaction.define(statement)
            else:
                await self._define(statement)
        elif isinstance(statement, st.Begin):
            await self._begin(statement)
        elif isinstance(statement, st.End):
            await self._end(statement)
            return
        elif isinstance(statement, st.SetVariable):
            await self._set(statement)
        elif isinstance(statement, st.Declare):
            if self.status != messages.IN_TRANSACTION:
                raise EmulatorError(NO_TRANSACTION, "DECLARE CURSOR can only be used in transaction blocks")
            self.transaction.subscribe()
            await self.cursors.declare(statement)
        elif isinstance(statement, st.CloseCursor):
            await self.cursors.close(statement.cursor)
        self.say(messages.complete(statement.tag))

    async def _define(self, statement: st.Statement) -> None:
        for what in await self._commands.run(statement, self.variables):
            self.say(messages.notice(what))

    async def _begin(self, statement: st.Begin) -> None:
        if self.status == messages.IN_TRANSACTION:
            self.say(messages.notice("there is already a transaction in progress"))
            return
        access = " READ ONLY" if statement.read_only else ""
        # Materialize reads everything in a transaction as of one time.
        reply = await self.backend.run(f"BEGIN ISOLATION LEVEL REPEATABLE READ{access}")
        self.status = reply.status
        self.transaction.begin()

    async def _end(self, statement: st.End) -> None:
        definition, mode = self.transaction.definition, self.transaction.mode
        commits = statement.commits and self.status == messages.IN_TRANSACTION
        was_failed = self.status == messages.FAILED
        if self.status == messages.IDLE:
            self.say(messages.notice("there is no transaction in progress"))
        self.maintainer.note_table_write()
        try:
            self.status = (await self.backend.run("COMMIT" if commits else "ROLLBACK")).status
        finally:
            self.transaction.begin()
            await self.cursors.close_all()
        if mode == "insert":
            self.maintainer.note_table_write()
        if commits and definition is not None:
            await self._define(definition)
        self.say(messages.complete("ROLLBACK" if was_failed or not statement.commits else "COMMIT"))

    async def _set(self, statement: st.SetVariable) -> None:
        self.variables.set(statement.name, statement.values)
        if statement.name in ("search_path", "schema"):
            local = "LOCAL " if statement.is_local else ""
            self.status = (
                await self.backend.run(f"SET {local}search_path = {self.variables.backend_search_path}")
            ).status
        if statement.name == "cluster":
            self.say(messages.parameter_status("cluster", self.variables.cluster))

    async def catch_up(self, words: set[str]) -> None:
        """Wait until a query with these words sees all that was committed before it."""
        if self.status == messages.IN_TRANSACTION:
            # Whatever its later queries read is read as of the first one, too.
            is_due = self.transaction.begins_to_read()
        else:
            is_due = self.maintainer.needs_to_catch_up(words)
        if is_due and self.variables.is_strict:
            await self.maintainer.catch_up()

    async def _pass_on(self, sql: str, source: Source, kind: str, *, with_ready: bool) -> Reply:
        if source.tokens and (source.starts_with("reset", "all") or source.starts_with("discard", "all")):
            self.variables.reset()
        if kind == "any" and self.status != messages.IN_TRANSACTION:
            await self.maintainer.catch_up()
        if kind == "read":
            await self.catch_up(source.words() if source.tokens else set(re.findall(r"[^\W\d][\w$]*", sql.lower())))
        writes = kind in ("insert", "change", "any")
        if writes:
            self.maintainer.note_table_write()
        return await self._exchange(
            sql, with_ready=with_ready, before_ready=self.maintainer.note_table_write if writes else None
        )

    async def _exchange(self, sql: str, *, with_ready: bool, before_ready: Callable[[], None] | None) -> Reply:
        self.backend.send(messages.query(sql))
        reply = await self.backend.relay(self.write, with_ready=with_ready, before_ready=before_ready)
        while reply.waits_for_copy:
            await self._copy_in()
            rest = await self.backend.relay(self.write, with_ready=with_ready, before_ready=before_ready)
            reply = Reply(rest.status, rest.waits_for_copy, reply.failed or rest.failed, rest.tag or reply.tag)
        self.status = reply.status
        return reply

    async def _copy_in(self) -> None:
        await self.copy_in(self.write_to_backend)

    async def write_to_backend(self, data: bytes) -> None:
        """Send to the backend, and wait while it does not read."""
        self.backend.send(data)
        await self.backend.flush()

    async def copy_in(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Pass COPY data on until the client ends it."""
        while True:
            kind, payload = await self._read_message()
            if kind in b"dcf":
                await write(messages.message(kind, payload))
            if kind in b"cf":
                return
            if kind not in b"dHS":
                await write(messages.message(b"f", messages.text("unexpected message during COPY")))
                return
