"""One response: held back until it can no longer fail early, then streamed."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from thedata_cli.components.clickhouse.server.compression import Encoder, choose_encoding, make_encoder
from thedata_cli.components.clickhouse.server.frames import FrameEncoder
from thedata_cli.components.clickhouse.server.request import Request

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HELD_IN_MEMORY_BYTES = 4 << 20
_HOLD_BYTES = 1 << 20
_SENT_AT_ONCE_BYTES = 1 << 20


class Response:
    """The way out of one request; its encoders sit between `write` and the client."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._headers: dict[str, str] = {}
        self._is_started = False
        self._holds_all = False
        self._hold_bytes = _HOLD_BYTES
        self._rewriter: Encoder | None = None
        self._encoders: list[Encoder] = []
        self._content_encoding: str | None = None
        # What does not fit into memory goes to a file without a name; `close` drops both.
        self._held = tempfile.SpooledTemporaryFile(max_size=_HELD_IN_MEMORY_BYTES)  # noqa: SIM115
        self._plain_bytes = 0

    def serve(self, request: Request) -> None:
        """Pack and hold back as the request asks for."""
        self._holds_all = request.is_set("wait_end_of_query")
        self._hold_bytes = max(_HOLD_BYTES, request.integer("buffer_size"))
        self._encoders, self._content_encoding = _encoders_for(request)

    @property
    def is_started(self) -> bool:
        """Whether the status has left; from then on an error can only be a trailer."""
        return self._is_started

    def set_header(self, name: str, value: str) -> None:
        """Set a header; without effect once the response has started."""
        self._headers[name] = value

    def rewrite(self, rewriter: Encoder) -> None:
        """Rewrite the body before it is packed; the trailer of an error is packed, but not rewritten."""
        self._rewriter = rewriter

    async def write(self, data: bytes) -> None:
        """Add to the body; a large piece is packed in a thread, off the event loop."""
        is_plain = not (self._rewriter or self._encoders)
        encoded = data if is_plain else await asyncio.to_thread(self._rewrite_and_encode, data)
        self._plain_bytes += len(data)
        if self._is_started:
            await self._send_body(encoded)
            return
        self._held.write(encoded)
        if not self._holds_all and self._plain_bytes >= self._hold_bytes:
            await self._start(200)

    def _rewrite_and_encode(self, data: bytes) -> bytes:
        return self._encode(self._rewriter.encode(data) if self._rewriter else data)

    def _encode(self, data: bytes) -> bytes:
        for encoder in self._encoders:
            if not data:
                break
            data = encoder.encode(data)
        return data

    def _finish_encoders(self) -> bytes:
        data = b""
        for encoder in self._encoders:
            data = (encoder.encode(data) if data else b"") + encoder.finish()
        return data

    async def finish(self) -> None:
        """End the body. A short one leaves here, whole and with its length."""
        rest = b""
        if self._rewriter:
            self._rewriter.finish()
        if self._plain_bytes:
            rest = self._finish_encoders()
        else:
            self._content_encoding = None
        if not self._is_started:
            self._held.write(rest)
            rest = b""
            self._headers["Content-Length"] = str(self._held.tell())
            await self._start(200)
        await self._send({"type": "http.response.body", "body": rest, "more_body": False})

    async def break_off(self, trailer: bytes) -> None:
        """Send what tells the client of an error; the caller then breaks the connection."""
        packed = self._encode(trailer)
        await self._send_body(packed + self._finish_encoders())

    async def fail(self, status: int, text: str) -> None:
        """Answer with an error in place of all that was held back."""
        self._held.close()
        body = text.encode("utf-8", "replace")
        self._encoders = []
        self._content_encoding = None
        self._headers.pop("X-ClickHouse-Format", None)
        self._headers |= {"Content-Type": "text/plain; charset=UTF-8", "Content-Length": str(len(body))}
        await self._send_head(status)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _start(self, status: int) -> None:
        await self._send_head(status)
        self._held.seek(0)
        while piece := self._held.read(_SENT_AT_ONCE_BYTES):
            await self._send_body(piece)
        self._held.close()

    async def _send_head(self, status: int) -> None:
        self._is_started = True
        if self._content_encoding:
            self._headers["Content-Encoding"] = self._content_encoding
        headers: Sequence[tuple[bytes, bytes]] = [
            (name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in self._headers.items()
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _send_body(self, data: bytes) -> None:
        if data:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    def close(self) -> None:
        """Drop what is still held back."""
        self._held.close()


def _encoders_for(request: Request) -> tuple[list[Encoder], str | None]:
    encoders: list[Encoder] = [FrameEncoder()] if request.is_set("compress") else []
    name = choose_encoding(request.header("accept-encoding")) if request.is_set("enable_http_compression") else None
    if name:
        encoders.append(make_encoder(name))
    return encoders, name


def summary_header(counts: dict[str, int]) -> str:
    """X-ClickHouse-Summary: numbers as strings, as clients expect them."""
    names = ("read_rows", "read_bytes", "written_rows", "written_bytes", "total_rows_to_read", "result_rows")
    complete = dict.fromkeys((*names, "result_bytes", "elapsed_ns"), 0) | counts
    return json.dumps({name: str(value) for name, value in complete.items()}, separators=(",", ":"))
