"""Accepts clients: no TLS, no password, any user; and finds the session that a cancel request means."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
from collections.abc import Callable
from pathlib import Path

from thedata_cli.components.materialize.emulator import EMULATED_VERSION
from thedata_cli.components.materialize.emulator.catalog import Catalog
from thedata_cli.components.materialize.emulator.commands import Commands
from thedata_cli.components.materialize.emulator.errors import (
    ADMIN_SHUTDOWN,
    PROTOCOL_VIOLATION,
    EmulatorError,
    describe,
)
from thedata_cli.components.materialize.emulator.maintainer import Maintainer
from thedata_cli.components.materialize.emulator.pgwire import messages
from thedata_cli.components.materialize.emulator.pgwire.backend import BackendConnection
from thedata_cli.components.materialize.emulator.pgwire.session import Session
from thedata_cli.components.materialize.emulator.postgres import DATABASE, SESSION_USER
from thedata_cli.components.materialize.emulator.subscribing import Subscribing
from thedata_cli.components.materialize.emulator.variables import Variables, is_variable_of_materialize

_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST, _PROTOCOL_3 = 80877103, 80877104, 80877102, 196608
_LONGEST_STARTUP = 10_000
_READ_BYTES = 1 << 18


class _ClientProtocol(asyncio.StreamReaderProtocol):
    """A client that closes its side has gone: the protocol knows no half-open connections."""

    def eof_received(self) -> bool:
        super().eof_received()
        return False


class SqlServer:
    """The pgwire listener and its sessions."""

    def __init__(self, socket_path: Path, catalog: Catalog, maintainer: Maintainer, log: Callable[[str], None]) -> None:
        self._socket_path = socket_path
        self._catalog = catalog
        self._maintainer = maintainer
        self._commands = Commands(catalog, maintainer)
        self._subscribing = Subscribing(catalog, maintainer)
        self._log = log
        self._sessions: dict[tuple[int, int], Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._next_id = 1

    async def listen(self, host: str, port: int) -> None:
        """Begin to accept clients."""
        loop = asyncio.get_running_loop()

        def protocol() -> _ClientProtocol:
            reader = asyncio.StreamReader(limit=_READ_BYTES, loop=loop)
            return _ClientProtocol(reader, self._accept, loop=loop)

        self._server = await loop.create_server(protocol, host, port)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop accepting, and end all sessions."""
        if self._server:
            self._server.close()
        for session in list(self._sessions.values()):
            session.end(
                EmulatorError(ADMIN_SHUTDOWN, "terminating connection: the Materialize emulator is shutting down")
            )
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            parameters = await self._startup(reader, writer)
            if parameters is not None:
                await self._run_session(parameters, reader, writer)
        except EmulatorError as error:
            writer.write(messages.error(error, "FATAL"))
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        except Exception as error:
            self._log(f"a session failed: {describe(error)}")
            with contextlib.suppress(ConnectionError):
                writer.write(messages.error(EmulatorError("XX000", f"internal error: {type(error).__name__}"), "FATAL"))
        finally:
            writer.close()

    async def _startup(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, str] | None:
        while True:
            size, code = struct.unpack("!II", await reader.readexactly(8))
            if not 8 <= size <= _LONGEST_STARTUP:
                raise EmulatorError(PROTOCOL_VIOLATION, "invalid length of startup packet")
            body = await reader.readexactly(size - 8)
            if code in (_SSL_REQUEST, _GSS_REQUEST):
                writer.write(b"N")
            elif code == _CANCEL_REQUEST:
                session = self._sessions.get(struct.unpack("!II", body)) if len(body) == 8 else None
                if session:
                    await session.cancel()
                return None
            elif code >> 16 == _PROTOCOL_3 >> 16:
                parts = body.split(b"\0")
                if code != _PROTOCOL_3:
                    options = [part for part in parts[0:-2:2] if part.startswith(b"_pq_.")]
                    writer.write(
                        messages.message(b"v", struct.pack("!II", 0, len(options)), *(one + b"\0" for one in options))
                    )
                return {
                    key.decode(): value.decode() for key, value in zip(parts[::2], parts[1::2], strict=False) if key
                }
            else:
                raise EmulatorError(PROTOCOL_VIOLATION, f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}")

    async def _run_session(
        self, parameters: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        database = parameters.get("database", DATABASE)
        if database not in (DATABASE, parameters.get("user"), ""):
            raise EmulatorError("3D000", f"unknown database '{database}': the Materialize emulator has one, {DATABASE}")
        variables = Variables()
        settings = {"user": SESSION_USER, "database": DATABASE, **_settings(parameters, variables)}
        backend = await BackendConnection.open(self._socket_path, settings)
        key = (self._next_id, secrets.randbits(32))
        self._next_id += 1
        session = Session(
            reader, writer, backend, variables, self._catalog, self._maintainer, self._commands, self._subscribing
        )
        self._sessions[key] = session
        try:
            writer.write(messages.AUTHENTICATED)
            shown = {
                **backend.parameters,
                "mz_version": f"{EMULATED_VERSION} (thedata emulator)",
                "cluster": variables.cluster,
            }
            for name, value in shown.items():
                writer.write(messages.parameter_status(name, value))
            writer.write(messages.message(b"K", struct.pack("!II", *key)) + messages.ready(messages.IDLE))
            await session.run()
        finally:
            del self._sessions[key]
            await session.close()


def _settings(parameters: dict[str, str], variables: Variables) -> dict[str, str]:
    """Return what the backend is told of a client's startup packet; Materialize's own variables are kept here."""
    settings: dict[str, str] = {}
    given = {
        key: value for key, value in parameters.items() if key not in ("user", "database", "options", "replication")
    }
    words = parameters.get("options", "").replace("\\ ", "\0").split()
    for at, word in enumerate(words):
        text = (
            word.removeprefix("--")
            if word.startswith("--")
            else (words[at + 1] if word == "-c" and at + 1 < len(words) else "")
        )
        if word.startswith("-c") and word != "-c":
            text = word[2:]
        name, sign, value = text.partition("=")
        if sign:
            given[name.replace("-", "_")] = value.replace("\0", " ")
    for name, value in given.items():
        if is_variable_of_materialize(name):
            variables.set(name, tuple(part.strip() for part in value.split(",")))
        elif not name.startswith("_pq_."):
            settings[name] = value
    if variables.schemas != ["public"]:
        settings["search_path"] = variables.backend_search_path
    return settings
