"""The NATS protocol for many messages: one function call for each, no queue, no task.

Only what publishing and reading need. Requests of the API, and telling why a server cannot be reached, are left to the
library, in `connection.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

HIGH_WATER_BYTES = 4 * 2**20
"""Unsent bytes at which `drain` waits."""

Handler = Callable[[bytes, bytes, bytes, bytes], None]
"""Called with subject, reply subject, header block and payload of each message; must not raise."""

_LINE_BREAKS = str.maketrans({"\r": " ", "\n": " "})
_MSG, _HMSG, _PING, _PONG, _ERR, _INFO = b"M", b"H", b"PI", b"PO", b"-", b"I"


class Wire(asyncio.Protocol):
    """One connection for bulk data. When it is lost, so is this object: `lost` is done then, and says why."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.max_payload = 2**20
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._connected: asyncio.Future[None] = loop.create_future()
        self._login = b""
        self._handlers: dict[bytes, Handler] = {}
        self._numbers = itertools.count(1)
        self._pongs: deque[asyncio.Future[None]] = deque()
        self._chunks: list[bytes] = []
        self._held = 0
        self._needed = 0
        self._unsent: list[bytes] = []
        self._is_sending = False
        self._writable: asyncio.Future[None] | None = None
        self._complaint = ""

    @classmethod
    async def dial(cls, host: str, port: int, *, user: str, password: str) -> Wire:
        """Connect and log in.

        Raises:
            OSError: It cannot be reached, or does not let us in.
        """
        wire = cls()
        options = {
            "user": user,
            "pass": password,
            "name": "thedata data",
            "lang": "python",
            "version": "1",
            "protocol": 1,
            "verbose": False,
            "pedantic": False,
            "headers": True,
            "no_responders": True,
        }
        wire._login = b"CONNECT %b\r\nPING\r\n" % json.dumps(options).encode()
        await wire._loop.create_connection(lambda: wire, host, port)
        try:
            await wire._connected
        except BaseException:
            wire.close()
            raise
        return wire

    def subscribe(self, subject: str, handler: Handler) -> bytes:
        """Call `handler` for each message on `subject`; return the number of the subscription."""
        number = b"%d" % next(self._numbers)
        self._handlers[number] = handler
        self.write(b"SUB %b %b\r\n" % (subject.encode(), number))
        return number

    def unsubscribe(self, number: bytes) -> None:
        """Stop a subscription."""
        if self._handlers.pop(number, None) and not self.lost.done():
            self.write(b"UNSUB %b\r\n" % number)

    def publish(self, subject: str, payload: bytes, *, reply: str, headers: Mapping[str, str] | None = None) -> None:
        """Send one message; whoever sends many calls `drain` now and then."""
        if headers:
            block = write_headers(headers)
            sizes = b"%d %d" % (len(block), len(block) + len(payload))
            self.write(b"HPUB %b %b %b\r\n%b%b\r\n" % (subject.encode(), reply.encode(), sizes, block, payload))
        else:
            self.write(b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply.encode(), len(payload), payload))

    def write(self, commands: bytes) -> None:
        """Send protocol lines, together with others of this turn of the event loop.

        Raises:
            ConnectionResetError: The connection is lost.
        """
        if self.lost.done():
            raise ConnectionResetError(self._complaint or "the connection was lost")
        self._unsent.append(commands)
        if not self._is_sending:
            self._is_sending = True
            self._loop.call_soon(self._send)

    async def drain(self) -> None:
        """Send what is held back, and wait while the server is slower than we are."""
        self._send()
        if self._writable is not None:
            await self._writable
        else:
            await asyncio.sleep(0)

    async def flush(self) -> None:
        """Wait until the server has taken everything that was sent."""
        pong: asyncio.Future[None] = self._loop.create_future()
        self.write(b"PING\r\n")
        self._pongs.append(pong)
        await pong

    def close(self) -> None:
        """Send what is held back, and hang up."""
        self._send()
        if self._transport is not None:
            self._transport.close()

    def _send(self) -> None:
        self._is_sending = False
        if self._unsent and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; the server speaks first."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self._transport = transport

    def pause_writing(self) -> None:
        """Make `drain` wait."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let `drain` go on."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def connection_lost(self, exc: Exception | None) -> None:
        """End everything that waits."""
        error = ConnectionResetError(self._complaint or str(exc or "the connection was lost"))
        self.resume_writing()
        for waiting in (self._connected, *self._pongs):
            if not waiting.done():
                waiting.set_exception(error)
                # Who gave up waiting does not want to hear of it.
                waiting.exception()
        self._handlers.clear()
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Hand out the messages in what came; keep the rest for the next time."""
        if self._chunks:
            self._chunks.append(data)
            self._held += len(data)
            if self._held < self._needed:
                return
            data = b"".join(self._chunks)
            self._chunks.clear()
        used, self._needed = self._read(data)
        if used < len(data):
            self._chunks.append(data[used:])
            self._held = len(data) - used

    def _read(self, data: bytes) -> tuple[int, int]:
        """Return how many bytes were used, and how many must be there for it to be worth trying again."""
        at, size, handlers = 0, len(data), self._handlers
        while True:
            end = data.find(b"\r\n", at)
            if end < 0:
                return at, size - at + 1
            kind = data[at : at + 1]
            if kind in (_MSG, _HMSG):
                words = data[at:end].split()
                start = end + 2
                stop = start + int(words[-1])
                if size < stop + 2:
                    return at, stop + 2 - at
                header_end = start + int(words[-2]) if kind == _HMSG else start
                # MSG has four words and a fifth for a reply subject; HMSG has one more, the size of its headers.
                reply = words[3] if len(words) == (6 if kind == _HMSG else 5) else b""
                handler = handlers.get(words[2])
                if handler is not None:
                    handler(words[1], reply, data[start:header_end], data[header_end:stop])
                at = stop + 2
            else:
                self._control(data[at:end])
                at = end + 2

    def _control(self, line: bytes) -> None:
        """Answer one line that is not a message."""
        if line.startswith(_PING):
            self.write(b"PONG\r\n")
        elif line.startswith(_PONG):
            if not self._connected.done():
                self._connected.set_result(None)
            elif self._pongs:
                pong = self._pongs.popleft()
                if not pong.done():
                    pong.set_result(None)
        elif line.startswith(_INFO):
            info: dict[str, Any] = json.loads(line[5:])
            self.max_payload = info.get("max_payload", self.max_payload)
            if self._login:
                self.write(self._login)
                self._login = b""
        elif line.startswith(_ERR):
            self._complaint = line[5:].decode(errors="replace").strip("'")


def new_inbox() -> str:
    """Return a subject that nobody else uses."""
    return f"_INBOX.{secrets.token_hex(12)}"


def write_headers(headers: Mapping[str, str]) -> bytes:
    r"""Return a header block; a line break inside a value becomes a space, since it would end the header.

    Example:
        >>> write_headers({"Nats-Msg-Id": "a"})
        b'NATS/1.0\r\nNats-Msg-Id: a\r\n\r\n'
    """
    lines = [f"{name}: {value.strip().translate(_LINE_BREAKS)}\r\n" for name, value in headers.items()]
    return f"NATS/1.0\r\n{''.join(lines)}\r\n".encode()


def read_headers(block: bytes) -> dict[str, str]:
    r"""Return the headers of a block.

    Example:
        >>> read_headers(b"NATS/1.0\r\nA: b\r\nC:d\r\n\r\n")
        {'A': 'b', 'C': 'd'}
    """
    headers = {}
    for line in block.decode(errors="replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip()] = value.strip()
    return headers


def read_status(block: bytes) -> tuple[str, str]:
    r"""Return the status of a block and its words; both empty when it has none.

    Example:
        >>> read_status(b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 2\r\n\r\n")
        ('408', 'Request Timeout')
    """
    _, _, line = block.partition(b"\r\n")[0].partition(b" ")
    status, _, words = line.decode(errors="replace").partition(" ")
    return status, words
