"""Reading a route's durable consumer: large pulls, cheap acknowledgements."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from thedata_cli.component_api.live import Delivery, StreamMessage
from thedata_cli.components.nats.connection import Connection, mapped_errors
from thedata_cli.components.nats.wire import Wire, new_inbox, read_headers, read_status
from thedata_cli.errors import ServiceUnreachableError

MAX_REQUEST_BYTES = 32 * 2**20
"""Bytes of one pull at most: the server drops a client that has 64 MiB waiting for it."""

_GRACE_S = 5.0
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class UnreadHeaders(Mapping[str, str]):
    """Headers that are read when somebody asks: of a million messages, those that become dead letters."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @cached_property
    def _read(self) -> Mapping[str, str]:
        return read_headers(self._raw)

    def __getitem__(self, name: str) -> str:
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)


class RawMessage(NamedTuple):
    """A message as it came."""

    subject: bytes
    reply: bytes
    header: bytes
    payload: bytes


def delivery_of(raw: RawMessage) -> Delivery:
    """Read a delivered message; its reply subject carries stream, sequence, time and number of deliveries."""
    subject, reply, header, payload = raw
    words = reply.split(b".")
    # `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`; the longer form has
    # domain and account before the stream.
    at = 2 if len(words) == 9 else 4
    time = _EPOCH + datetime.timedelta(microseconds=int(words[at + 5]) // 1000)
    headers = UnreadHeaders(header) if header else {}
    message = StreamMessage(words[at].decode(), subject.decode(), int(words[at + 3]), time, headers, payload)
    return Delivery(message, int(words[at + 2]), reply)


class PullReader:
    """Pull requests on one consumer; messages arrive in a buffer."""

    def __init__(self, connection: Connection, stream: str, consumer: str) -> None:
        self._connection = connection
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._name = f"{stream}/{consumer}"
        self._wire: Wire | None = None
        self._subscription = b""
        self._inbox = ""
        self._pulls = 0
        self._wanted = 0
        self._buffer: list[RawMessage] = []
        self._status: RawMessage | None = None
        self._ready = asyncio.Event()

    async def pull(self, max_messages: int, max_wait_s: float) -> Sequence[RawMessage]:
        """Return up to `max_messages`, as soon as they are there or the wait is over.

        Raises:
            ServiceUnreachableError: The connection is lost, or the consumer is gone.
        """
        wire = await self._subscribed()
        if len(self._buffer) < max_messages:
            self._pulls += 1
            self._status = None
            self._wanted = max_messages
            self._ready.clear()
            body = {
                "batch": max_messages - len(self._buffer),
                "expires": max(1, round(max_wait_s * 1e9)),
                "max_bytes": max(MAX_REQUEST_BYTES, wire.max_payload + 65_536),
            }
            with mapped_errors(self._connection.address):
                wire.publish(self._next, json.dumps(body).encode(), reply=f"{self._inbox}.{self._pulls}")
            await self._connection.wait_for(wire, self._ready.wait(), max_wait_s + _GRACE_S)
        taken, self._buffer = self._buffer[:max_messages], self._buffer[max_messages:]
        if not taken and self._status is not None:
            self._raise_for_status(self._status)
        return taken

    async def _subscribed(self) -> Wire:
        wire = await self._connection.wire()
        if wire is not self._wire:
            # What an earlier connection had delivered is delivered again when its acknowledgement does not come.
            self._buffer = []
            self._inbox = new_inbox()
            with mapped_errors(self._connection.address):
                self._subscription = wire.subscribe(f"{self._inbox}.*", self._on_message)
            self._wire = wire
        return wire

    def _on_message(self, subject: bytes, reply: bytes, header: bytes, payload: bytes) -> None:
        if reply:
            self._buffer.append(RawMessage(subject, reply, header, payload))
            if len(self._buffer) >= self._wanted:
                self._ready.set()
        elif subject.endswith(b".%d" % self._pulls):
            # The answers to earlier pulls say nothing about this one.
            self._status = RawMessage(subject, reply, header, payload)
            self._ready.set()

    def _raise_for_status(self, raw: RawMessage) -> None:
        """Tell the plain end of a pull from a consumer that is gone."""
        status, words = read_status(raw.header)
        if status in ("404", "408") or words.startswith("Message Size Exceeds"):
            return
        raise ServiceUnreachableError(
            f"the consumer {self._name} at {self._connection.address} cannot be read: {words or 'no such consumer'}",
            hint="`thedata apply` creates it; `thedata stream ls` shows the streams",
        )

    def close(self) -> None:
        """End the subscription, and give back what nobody has fetched."""
        if self._wire is not None and not self._wire.lost.done():
            self._wire.unsubscribe(self._subscription)
            self._wire.write(_answers([raw.reply for raw in self._buffer], b"-NAK"))


class NatsConsumption:
    """An open durable consumer (`Consumption`)."""

    def __init__(self, connection: Connection, stream: str, consumer: str) -> None:
        self._connection = connection
        self._reader = PullReader(connection, stream, consumer)

    async def __aenter__(self) -> NatsConsumption:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.close()

    async def fetch(self, *, max_messages: int, max_wait_s: float) -> Sequence[Delivery]:
        """Return what is there, waiting until `max_messages` or `max_wait_s`; may be empty."""
        return [delivery_of(raw) for raw in await self._reader.pull(max_messages, max_wait_s)]

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker that these are done and never to be delivered again."""
        await self._answer(deliveries, b"+ACK")

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker that these are still being worked on."""
        await self._answer(deliveries, b"+WPI")

    async def _answer(self, deliveries: Sequence[Delivery], word: bytes) -> None:
        wire = await self._connection.wire()
        with mapped_errors(self._connection.address):
            wire.write(_answers([delivery.handle for delivery in deliveries], word))
        await self._connection.wait_for(wire, wire.flush())


def _answers(replies: Sequence[bytes], word: bytes) -> bytes:
    end = b" %d\r\n%b\r\n" % (len(word), word)
    return b"".join([b"PUB %b%b" % (reply, end) for reply in replies])
