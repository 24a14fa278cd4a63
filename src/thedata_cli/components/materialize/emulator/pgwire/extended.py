"""The extended query protocol: Parse, Bind, Describe, Execute, Close, Sync.

What PostgreSQL runs as it is passes as bytes. Statements of the emulator's own take part under the same names: nothing
of theirs reaches the backend, except cursors and queries of the catalog, which are rewritten.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thedata_cli.components.materialize.emulator import statements as st
from thedata_cli.components.materialize.emulator.errors import SYNTAX_ERROR, EmulatorError, not_supported
from thedata_cli.components.materialize.emulator.parse import check_length, parse
from thedata_cli.components.materialize.emulator.pgwire import messages
from thedata_cli.components.materialize.emulator.pgwire.backend import END_OF_EXECUTE
from thedata_cli.components.materialize.emulator.pgwire.transactions import kind_of
from thedata_cli.components.materialize.emulator.redaction import redacted
from thedata_cli.components.materialize.emulator.tokens import Source, split

if TYPE_CHECKING:
    from thedata_cli.components.materialize.emulator.pgwire.session import Session

# Which answers end the reply to each message that the backend is sent.
_ANSWERS = {b"P": b"1", b"B": b"2", b"C": b"3", b"E": b"CIsG"}


@dataclass(frozen=True)
class Prepared:
    """A prepared statement.

    Attributes:
        statement: What the emulator runs itself; None if the backend runs it.
        in_backend: Whether the backend knows it under the same name.
        parse: The Parse message, for one that must be sent again.
    """

    source: Source | None
    statement: st.Statement | None
    in_backend: bool
    parse: bytes = b""


class ExtendedProtocol:
    """The extended protocol of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._statements: dict[str, Prepared] = {}
        self._portals: dict[str, Prepared] = {}
        self._binds: dict[str, bytes] = {}
        self._sql = ""
        self._skips_to_sync = False
        self._writes = False

    async def take(self, kind: bytes, payload: bytes) -> None:
        """Take one message."""
        if kind == b"S":
            await self._sync()
            return
        if self._skips_to_sync or kind == b"H":
            return
        try:
            await _HANDLERS[kind](self, payload)
        except EmulatorError as error:
            self._session.say(messages.error(redacted(error, self._sql)))
            await self._session.fail_transaction()
            self._skips_to_sync = True

    async def _sync(self) -> None:
        session = self._session
        session.backend.send(messages.SYNC)
        if self._writes:
            session.maintainer.note_table_write()
        async for kind, payload in session.backend.replies():
            if kind == b"Z":
                session.status = payload
            elif kind in b"NAS":
                session.say(messages.message(kind, payload))
        if self._writes:
            session.maintainer.note_table_write()
        self._skips_to_sync = self._writes = False
        session.say(messages.ready(session.status))

    async def _forward(self, kind: bytes, payload: bytes, stops: bytes) -> list[tuple[bytes, bytes]]:
        """Send one message to the backend and return its answers; an error skips to Sync."""
        self._session.backend.send(messages.message(kind, payload) + messages.FLUSH)
        answers = await self._session.backend.expect(stops)
        if answers[-1][0] == b"E":
            self._skips_to_sync = True
        return answers

    def _pass(self, answers: list[tuple[bytes, bytes]]) -> None:
        for kind, payload in answers:
            self._session.say(messages.message(kind, payload))

    async def _parse(self, payload: bytes) -> None:
        name, sql, types = _parts_of_parse(payload)
        self._sql = sql
        check_length(sql)
        sources = split(sql)
        if len(sources) > 1:
            raise EmulatorError(SYNTAX_ERROR, "cannot insert multiple commands into a prepared statement")
        source = sources[0] if sources else None
        statement = parse(source) if source else None
        if statement is not None and source is not None:
            rewritten = self._in_backend(statement, source)
            if rewritten is None:
                self._statements[name] = Prepared(source, statement, in_backend=False)
                self._session.say(messages.PARSE_COMPLETE)
                return
            sql = rewritten
            statement = statement if isinstance(statement, st.Fetch) else None
        body = messages.text(name) + messages.text(sql) + types
        if source is not None and self._session.status == messages.IN_TRANSACTION:
            await self._wait_for_views(source)
        answers = await self._forward(b"P", body, b"1")
        self._statements[name] = Prepared(source, statement, in_backend=True, parse=b"" if name else body)
        self._pass(answers)

    def _in_backend(self, statement: st.Statement, source: Source) -> str | None:
        if isinstance(statement, st.Fetch):
            return (
                self._session.cursors.fetch_sql(statement)
                if self._session.cursors.knows(statement.cursor)
                else source.sql
            )
        return self._session.rewritten(statement, source)

    async def _bind(self, payload: bytes) -> None:
        portal, rest = payload.split(b"\0", 1)
        statement, rest = rest.split(b"\0", 1)
        prepared = self._find(self._statements, statement.decode(), "prepared statement")
        self._portals[portal.decode()] = prepared
        if isinstance(prepared.statement, st.Subscribe) and _asks_for_binary(rest):
            raise not_supported("SUBSCRIBE in binary; use DECLARE and FETCH")
        if not prepared.in_backend:
            self._session.say(messages.BIND_COMPLETE)
            return
        self._binds[portal.decode()] = payload
        if prepared.source is not None:
            await self._wait_for_views(prepared.source)
        self._pass(await self._forward(b"B", payload, b"2"))

    async def _wait_for_views(self, source: Source) -> None:
        # Before Bind, and in a transaction before Parse: the backend takes its snapshot with it.
        if kind_of(source) == "read":
            await self._session.catch_up(source.words())

    def _find(self, known: dict[str, Prepared], name: str, what: str) -> Prepared:
        if name not in known:
            raise EmulatorError("26000" if what == "prepared statement" else "34000", f'{what} "{name}" does not exist')
        return known[name]

    async def _describe(self, payload: bytes) -> None:
        what, name = payload[:1], payload[1:-1].decode()
        known = self._statements if what == b"S" else self._portals
        prepared = self._find(known, name, "prepared statement" if what == b"S" else "portal")
        if prepared.in_backend:
            self._pass(await self._forward(b"D", payload, b"Tn"))
        elif isinstance(prepared.statement, st.Subscribe):
            parameters = messages.NO_PARAMETERS if what == b"S" else b""
            self._session.say(parameters + await self._session.cursors.describe(prepared.statement))
        else:
            self._session.say((messages.NO_PARAMETERS if what == b"S" else b"") + messages.NO_DATA)

    async def _execute(self, payload: bytes) -> None:
        name = payload[: payload.index(b"\0")].decode()
        prepared = self._find(self._portals, name, "portal")
        self._sql = prepared.source.sql if prepared.source else ""
        session = self._session
        if not prepared.in_backend:
            if prepared.statement is not None:
                session.check_not_failed(prepared.statement)
                if isinstance(prepared.statement, (st.Subscribe, st.CopySubscribe)):
                    describes = isinstance(prepared.statement, st.CopySubscribe)
                    await session.cursors.stream(prepared.statement, describes=describes)
                else:
                    await session.execute(prepared.statement)
            return
        if isinstance(prepared.statement, st.Fetch) and session.cursors.knows(prepared.statement.cursor):
            await session.cursors.prepare_fetch(prepared.statement)
            await self._bind_again(name, prepared)
        if prepared.source is not None:
            if session.status == messages.IN_TRANSACTION:
                session.transaction.check(prepared.source)
            self._writes = self._writes or kind_of(prepared.source) in ("insert", "change", "any")
            if self._writes:
                session.maintainer.note_table_write()
        await self._run_portal(payload, prepared)

    async def _bind_again(self, portal: str, prepared: Prepared) -> None:
        # The backend has dropped its unnamed statement and portal with the simple queries for the next batch.
        if prepared.parse:
            await self._forward(b"P", prepared.parse, b"1")
        if not portal:
            await self._forward(b"B", self._binds[portal], b"2")

    async def _run_portal(self, payload: bytes, prepared: Prepared) -> None:
        session = self._session
        session.backend.send(messages.message(b"E", payload) + messages.FLUSH)
        reply = await session.backend.relay(session.write, END_OF_EXECUTE)
        if reply.waits_for_copy:
            await session.copy_in(session.write_to_backend)
            session.backend.send(messages.FLUSH)
            reply = await session.backend.relay(session.write, END_OF_EXECUTE)
        if reply.failed:
            self._skips_to_sync = True
        if isinstance(prepared.statement, st.Fetch):
            session.cursors.fetched(prepared.statement, reply)

    async def _close(self, payload: bytes) -> None:
        what, name = payload[:1], payload[1:-1].decode()
        prepared = (self._statements if what == b"S" else self._portals).pop(name, None)
        if prepared is not None and prepared.in_backend:
            self._pass(await self._forward(b"C", payload, b"3"))
        else:
            self._session.say(messages.CLOSE_COMPLETE)


def _asks_for_binary(bind: bytes) -> bool:
    """Whether a Bind without parameters, from its formats on, asks for binary results."""
    formats = struct.unpack_from("!h", bind)[0]
    at = 2 + 2 * formats + 2
    count = struct.unpack_from("!h", bind, at)[0]
    return 1 in struct.unpack_from(f"!{count}h", bind, at + 2)


def _parts_of_parse(payload: bytes) -> tuple[str, str, bytes]:
    name, rest = payload.split(b"\0", 1)
    sql, types = rest.split(b"\0", 1)
    return name.decode(), sql.decode("utf-8", "replace"), types


_HANDLERS = {
    b"P": ExtendedProtocol._parse,
    b"B": ExtendedProtocol._bind,
    b"D": ExtendedProtocol._describe,
    b"E": ExtendedProtocol._execute,
    b"C": ExtendedProtocol._close,
}
