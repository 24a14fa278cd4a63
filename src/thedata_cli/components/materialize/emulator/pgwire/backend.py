"""One connection to the backend, as bytes: rows pass from it to a client without being looked into."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from thedata_cli.components.materialize.emulator.errors import CANNOT_CONNECT, INTERNAL_ERROR, EmulatorError
from thedata_cli.components.materialize.emulator.pgwire import messages

Write = Callable[[bytes], Awaitable[None]]

_READ_BYTES = 1 << 18
_HEADER = 5
_DATA_ROW, _READY, _COPY_IN, _ERROR, _COMPLETE = (ord(letter) for letter in "DZGEC")
END_OF_QUERY = b"ZG"
END_OF_EXECUTE = b"CIsEG"
_PROTOCOL = 196608
_CANCEL = 80877102


@dataclass
class Reply:
    """How an exchange ended.

    Attributes:
        status: The letter of ReadyForQuery, if that was the end.
        waits_for_copy: The backend waits for COPY data.
        failed: An error was among the messages.
        tag: The last CommandComplete.
    """

    status: bytes = b""
    waits_for_copy: bool = False
    failed: bool = False
    tag: str = ""

    @property
    def rows(self) -> int:
        """The number at the end of the tag."""
        word = self.tag.rpartition(" ")[2]
        return int(word) if word.isdigit() else 0


class BackendConnection:
    """The connection of one session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, socket_path: Path) -> None:
        self._reader = reader
        self._writer = writer
        self._socket_path = socket_path
        self._rest = b""
        self._key = b""
        self.parameters: dict[str, str] = {}

    @classmethod
    async def open(cls, socket_path: Path, settings: dict[str, str]) -> BackendConnection:
        """Connect and wait until the backend is ready.

        Raises:
            EmulatorError: The backend refuses.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(str(socket_path), limit=_READ_BYTES)
        except OSError as error:
            raise EmulatorError(CANNOT_CONNECT, "the emulator is starting up or shutting down") from error
        connection = cls(reader, writer, socket_path)
        pairs = b"".join(messages.text(name) + messages.text(value) for name, value in settings.items())
        body = struct.pack("!I", _PROTOCOL) + pairs + b"\0"
        connection.send(struct.pack("!I", len(body) + 4) + body)
        async for kind, payload in connection.replies():
            if kind == b"K":
                connection._key = payload
            elif kind == b"E":
                fields = messages.fields_of(payload)
                raise EmulatorError(
                    fields.get("C", CANNOT_CONNECT), fields.get("M", "the backend refused the connection")
                )
        return connection

    def send(self, data: bytes) -> None:
        """Send messages, without waiting for an answer."""
        self._writer.write(data)

    async def flush(self) -> None:
        """Wait until the backend takes more."""
        await self._writer.drain()

    async def _read(self) -> bytes:
        data = await self._reader.read(_READ_BYTES)
        if not data:
            raise EmulatorError(INTERNAL_ERROR, "the connection to the backend is lost")
        return data

    async def replies(self) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield messages, each with its body, up to and with ReadyForQuery; those about parameters are kept."""
        async for kind, payload in self._messages():
            if kind == b"S":
                name, _, value = payload.rstrip(b"\0").partition(b"\0")
                self.parameters[name.decode()] = value.decode()
            yield kind, payload
            if kind == b"Z":
                return

    async def _messages(self) -> AsyncIterator[tuple[bytes, bytes]]:
        while True:
            while len(self._rest) < _HEADER:
                self._rest += await self._read()
            size = struct.unpack_from("!I", self._rest, 1)[0]
            pieces = [self._rest]
            length = len(self._rest)
            while length < size + 1:
                pieces.append(await self._read())
                length += len(pieces[-1])
            data = b"".join(pieces) if len(pieces) > 1 else pieces[0]
            self._rest = data[size + 1 :]
            yield data[:1], data[_HEADER : size + 1]

    async def expect(self, stop: bytes) -> list[tuple[bytes, bytes]]:
        """Return the messages up to one of the kinds in `stop`, or up to an error."""
        found = []
        async for kind, payload in self._messages():
            if kind not in b"NAS":
                found.append((kind, payload))
            if kind in stop + b"E":
                return found
        return found

    async def run(self, sql: str) -> Reply:
        """Run a simple query whose rows nobody needs.

        Raises:
            EmulatorError: It failed.
        """
        reply, _ = await self.fetch(sql)
        return reply

    async def fetch(self, sql: str) -> tuple[Reply, list[list[str | None]]]:
        """Run a simple query and return its rows as text.

        Raises:
            EmulatorError: It failed.
        """
        self.send(messages.query(sql))
        reply, rows = Reply(), []
        fault: EmulatorError | None = None
        async for kind, payload in self.replies():
            if kind == b"D":
                rows.append(_values(payload))
            elif kind == b"C":
                reply.tag = payload.rstrip(b"\0").decode()
            elif kind == b"E":
                fields = messages.fields_of(payload)
                fault = EmulatorError(
                    fields.get("C", INTERNAL_ERROR), fields.get("M", ""), fields.get("D"), fields.get("H")
                )
            elif kind == b"Z":
                reply.status = payload
        if fault:
            raise fault
        return reply, rows

    async def relay(
        self,
        write: Write,
        stops: bytes = END_OF_QUERY,
        *,
        with_ready: bool = True,
        before_ready: Callable[[], None] | None = None,
    ) -> Reply:
        """Pass everything on, up to and with the first message of a kind in `stops`.

        Args:
            write: Takes the bytes.
            stops: Kinds of messages that end the exchange.
            with_ready: Pass ReadyForQuery on, too.
            before_ready: Called before the bytes with ReadyForQuery are passed on.
        """
        reply, data, skip = Reply(), self._rest, 0
        self._rest = b""
        size_at = struct.Struct("!I").unpack_from
        while True:
            at, length = skip, len(data)
            whole = length - _HEADER
            while at <= whole:
                kind = data[at]
                end = at + 1 + size_at(data, at + 1)[0]
                if kind == _DATA_ROW:
                    at = end
                    continue
                if end > length:
                    break
                _note(reply, kind, data[at + _HEADER : end])
                if kind in stops:
                    self._rest = data[end:]
                    if before_ready and kind == _READY:
                        before_ready()
                    await write(data[: at if kind == _READY and not with_ready else end])
                    return reply
                at = end
            # A row may be larger than what has come of it: pass on what is there, and step over the rest of it later.
            passed = min(at, length)
            if passed:
                await write(data[:passed])
            skip, data = at - passed, data[passed:]
            more = await self._read()
            while len(more) < skip:
                await write(more)
                skip -= len(more)
                more = await self._read()
            data += more

    async def cancel(self) -> None:
        """Ask the backend to stop what runs on this connection."""
        reader, writer = await asyncio.open_unix_connection(str(self._socket_path))
        writer.write(struct.pack("!II", 16, _CANCEL) + self._key)
        await writer.drain()
        await reader.read()
        writer.close()

    def close(self) -> None:
        """End the connection."""
        self._writer.write(b"X\x00\x00\x00\x04")
        self._writer.close()


def _note(reply: Reply, kind: int, payload: bytes) -> None:
    if kind == _ERROR:
        reply.failed = True
    elif kind == _COMPLETE:
        reply.tag = payload[:-1].decode()
    elif kind == _COPY_IN:
        reply.waits_for_copy = True
    elif kind == _READY:
        reply.status = payload


def _values(payload: bytes) -> list[str | None]:
    count = struct.unpack_from("!h", payload)[0]
    values: list[str | None] = []
    at = 2
    for _ in range(count):
        size = struct.unpack_from("!i", payload, at)[0]
        at += 4
        values.append(None if size < 0 else payload[at : at + size].decode("utf-8", "replace"))
        at += max(size, 0)
    return values
