"""Which connection a request runs on: its own, or the one that its `session_id` keeps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from thedata_cli.components.clickhouse.server.engine import Connection, Engine, quote, quote_name
from thedata_cli.components.clickhouse.server.errors import SESSION_IS_LOCKED, SESSION_NOT_FOUND, ClickHouseError
from thedata_cli.components.clickhouse.server.request import SessionRequest

Result = TypeVar("Result")
LOG_COMMENT = "log_comment"
"""The setting by which a running query is found again."""


@dataclass
class _Session:
    connection: Connection
    is_locked: bool = True
    expiry: asyncio.TimerHandle | None = None


class Lease:
    """A connection for the time of one request. `release` gives it back, once."""

    def __init__(self, sessions: Sessions, connection: Connection, session: SessionRequest | None) -> None:
        self._sessions = sessions
        self._session = session
        self._released = False
        self._restore: list[str] = []
        self.connection = connection

    async def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Run a blocking call of the engine in its thread pool."""
        return await self._sessions.call(function, *arguments)

    def prepare(self, settings: Mapping[str, str], database: str) -> None:
        """Set what holds for this request only; a session gets its own values back afterwards. Blocks."""
        if self._session:
            self._remember(settings, database)
        if settings:
            values = ", ".join(f"{quote_name(name)} = {quote(value)}" for name, value in settings.items())
            self.connection.run(f"SET {values}")
        if database:
            self.connection.run(f"USE {quote_name(database)}")

    def _remember(self, settings: Mapping[str, str], database: str) -> None:
        if database:
            self._restore.append("USE " + quote_name(self.connection.text("SELECT currentDatabase() FORMAT TSVRaw")))
        if LOG_COMMENT in settings:
            # The server's own mark of the request; a session has no other value of it to come back to.
            self._restore.append(f"SET {LOG_COMMENT} = DEFAULT")
        if asked := settings.keys() - {LOG_COMMENT}:
            # A look at all settings takes longer than most queries.
            names = ", ".join(map(quote, sorted(asked)))
            found = self.connection.run(
                f"SELECT name, value, changed FROM system.settings WHERE name IN ({names})", "JSONCompactEachRow"
            )
            rows = [json.loads(line) for line in found.bytes().splitlines()]
            values = [f"{quote_name(name)} = {quote(value) if changed else 'DEFAULT'}" for name, value, changed in rows]
            if values:
                self._restore.append("SET " + ", ".join(values))

    def on_release(self, sql: str) -> None:
        """Run `sql` when a session is given back; a connection of its own needs no tidying."""
        self._restore.append(sql)

    async def release(self) -> None:
        """Give the connection back before the last byte leaves: the client may ask again at once."""
        if self._released:
            return
        self._released = True
        if self._session:
            is_intact = await self.call(self._tidy)
            await self._sessions.give_back(self.connection, self._session, is_intact=is_intact)
        else:
            self._sessions.forget(self.connection)

    def _tidy(self) -> bool:
        try:
            for sql in reversed(self._restore):
                self.connection.run(sql)
        except ClickHouseError:
            # For instance after `readonly=1`, which forbids to change itself back.
            return False
        return True


class Sessions:
    """The sessions that are alive, each with its connection."""

    def __init__(self, engine: Engine, pool: Executor, default_database: str) -> None:
        self._engine = engine
        self._pool = pool
        self._default_database = default_database
        self._alive: dict[str, _Session] = {}

    async def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Run a blocking call of the engine in the thread pool."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(function, *arguments))

    async def lease(self, request: SessionRequest | None, settings: Mapping[str, str], database: str) -> Lease:
        """A connection for one request, with the settings and the database of that request.

        Raises:
            ClickHouseError: The session is in use (373), or has to exist and does not (372); or a setting is wrong.
        """
        if request is None:
            return await self.call(self._lease_alone, settings, database)
        lease = Lease(self, await self._join(request), request)
        try:
            await self.call(lease.prepare, settings, database)
        except BaseException:
            await lease.release()
            raise
        return lease

    def _lease_alone(self, settings: Mapping[str, str], database: str) -> Lease:
        """Everything in one go: for a small query each turn of the thread pool counts."""
        lease = Lease(self, self._engine.connect(), None)
        try:
            lease.prepare({"implicit_select": "0"} | dict(settings), database or self._default_database)
        except ClickHouseError:
            lease.connection.close()
            raise
        return lease

    async def _join(self, request: SessionRequest) -> Connection:
        session = self._alive.get(request.id)
        if session is None:
            return await self._begin(request)
        if session.is_locked:
            raise ClickHouseError(SESSION_IS_LOCKED, f"Session {request.id} is locked by a concurrent client.")
        session.is_locked = True
        if session.expiry:
            session.expiry.cancel()
        return session.connection

    def _open(self) -> Connection:
        connection = self._engine.connect()
        connection.run("SET implicit_select = 0")
        connection.run(f"USE {quote_name(self._default_database)}")
        return connection

    async def _begin(self, request: SessionRequest) -> Connection:
        if request.must_exist:
            raise ClickHouseError(SESSION_NOT_FOUND, f"Session {request.id} not found.")
        connection = await self.call(self._open)
        if request.id in self._alive:
            await self.call(connection.close)
            raise ClickHouseError(SESSION_IS_LOCKED, f"Session {request.id} is locked by a concurrent client.")
        self._alive[request.id] = _Session(connection)
        return connection

    def forget(self, connection: Connection) -> None:
        """Close a connection that no session keeps; nobody waits for that."""
        self._pool.submit(connection.close)

    async def give_back(self, connection: Connection, request: SessionRequest, *, is_intact: bool) -> None:
        """Keep the session until its time is over, unless it has to end."""
        session = self._alive[request.id]
        if request.close or not is_intact:
            del self._alive[request.id]
            await self.call(connection.close)
            return
        session.is_locked = False
        loop = asyncio.get_running_loop()
        session.expiry = loop.call_later(request.timeout_s, self._expire, request.id)

    def _expire(self, identifier: str) -> None:
        session = self._alive.pop(identifier)
        self._pool.submit(session.connection.close)

    def close(self) -> None:
        """Close every connection that no request uses."""
        for session in self._alive.values():
            if session.expiry:
                session.expiry.cancel()
            if not session.is_locked:
                session.connection.close()
