"""The body of a request: read in pieces, unpacked on the way, never held whole by this module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from thedata_cli.components.clickhouse.server.compression import Decoder, make_decoder
from thedata_cli.components.clickhouse.server.errors import QUERY_IS_TOO_LARGE, ClickHouseError
from thedata_cli.components.clickhouse.server.frames import FrameDecoder
from thedata_cli.components.clickhouse.server.request import Request

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGoneError(Exception):
    """The client closed its connection before the request was whole."""


class Body:
    """A one-way reader; after its end it can tell when the client goes away."""

    def __init__(self, receive: Receive, request: Request) -> None:
        """Unpack by the Content-Encoding first, then ClickHouse's own frames if the URL says so."""
        self._receive = receive
        self._ended = False
        decoders: list[Decoder | None] = [
            make_decoder(request.header("content-encoding")),
            FrameDecoder() if request.is_set("decompress") else None,
        ]
        self._decoders = [decoder for decoder in decoders if decoder]

    async def read(self) -> bytes:
        """The next plain piece; empty at the end.

        Raises:
            ClientGoneError: The connection broke.
            ClickHouseError: The body is not what its encoding promises.
        """
        while not self._ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            self._ended = not message.get("more_body", False)
            data = self._decode(message.get("body", b""))
            if data:
                return data
        return b""

    def _decode(self, data: bytes) -> bytes:
        for decoder in self._decoders:
            data = decoder.decode(data)
            if self._ended:
                data += decoder.finish()
        return data

    async def after(self, first: bytes) -> AsyncIterator[bytes]:
        """What has been read already, then the rest of the body."""
        data = first or await self.read()
        while data:
            yield data
            data = await self.read()

    async def read_all(self, limit_bytes: int) -> bytes:
        """The rest of the body, refused when it is larger than `limit_bytes`."""
        held = bytearray()
        while data := await self.read():
            held += data
            if len(held) > limit_bytes:
                raise ClickHouseError(QUERY_IS_TOO_LARGE, f"The query is larger than {limit_bytes} bytes.")
        return bytes(held)

    async def wait_for_disconnect(self) -> None:
        """Return when the client has gone; only meaningful after the end of the body."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
