"""Reading a stream as it grows, without leaving a trace on the server."""

from __future__ import annotations

import asyncio
import json
import math
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any, Self

from thedata_cli.component_api.live import StreamMessage, TailStart
from thedata_cli.components.nats.connection import Connection, LoginRefusedError, mapped_errors
from thedata_cli.components.nats.consume import MAX_REQUEST_BYTES, RawMessage, delivery_of
from thedata_cli.components.nats.wire import Wire, new_inbox, read_status
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError, TheDataError

Deliver = Mapping[str, Any]
"""The part of a consumer's config that says where it begins."""

_PULL_MESSAGES = 1000
_PULL_WAIT_S = 20.0
_HEARTBEAT_S = 2.0
_RETRY_WAIT_S = 0.2
_NAMES_HINT = "`thedata stream ls` shows the streams; `--subject` filters by subject"
_INACTIVE_S = 30
"""The server deletes the consumer of a tail that was killed after that long."""


async def tail_stream(
    connection: Connection, stream: str, start: TailStart, subject: str
) -> AsyncGenerator[StreamMessage, None]:
    """Yield messages in order, for ever unless the start is finite.

    A temporary consumer in the server's memory delivers them. When it is lost, by a restart of the server or a broken
    connection, another one takes over after the last message that was yielded.
    """
    if any(character in ".*> \t" for character in stream):
        raise StatementRejectedError(f"{stream!r} is not the name of a stream", hint=_NAMES_HINT)
    info = await connection.call(f"$JS.API.STREAM.INFO.{stream}")
    created = info["created"]
    deliver, skip = await _begin(connection, info, start, subject)
    remaining: float | None = None if start.is_finite else math.inf
    while True:
        try:
            async with _TemporaryConsumer(connection, stream, deliver, subject) as consumer:
                remaining = consumer.pending if remaining is None else remaining
                while remaining > 0:
                    message = await consumer.next_message()
                    remaining -= 1
                    deliver = _from_sequence(message.sequence + 1)
                    if skip:
                        skip -= 1
                    else:
                        yield message
            return
        except LoginRefusedError:
            raise
        except ServiceUnreachableError:
            info = await _until_back(connection, stream)
            if info["created"] != created:
                created, deliver = info["created"], _from_sequence(1)


def _from_sequence(sequence: int) -> Deliver:
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": max(1, sequence)}


async def _begin(
    connection: Connection, info: Mapping[str, Any], start: TailStart, subject: str
) -> tuple[Deliver, int]:
    """Return where the tail begins, and how many messages to pass over first."""
    after_last = info["state"]["last_seq"] + 1
    if start.sequence is not None:
        return _from_sequence(start.sequence), 0
    if start.since is not None:
        return {"deliver_policy": "by_start_time", "opt_start_time": start.since.isoformat()}, 0
    if start.last:
        return await _last(connection, info, start.last, subject)
    return _from_sequence(after_last), 0


async def _last(connection: Connection, info: Mapping[str, Any], count: int, subject: str) -> tuple[Deliver, int]:
    """Find a place with at least `count` matching messages after it, looking twice as far back each time."""
    state, stream = info["state"], info["config"]["name"]
    distance = count
    while True:
        deliver = _from_sequence(state["last_seq"] + 1 - distance)
        async with _TemporaryConsumer(connection, stream, deliver, subject) as consumer:
            pending = consumer.pending
            if pending >= count or deliver["opt_start_seq"] <= max(1, state["first_seq"]):
                return deliver, max(0, pending - count)
        distance *= 2


class _TemporaryConsumer:
    """A consumer of one tail, in the server's memory; it is deleted at the end, and when its reader was killed.

    It is a class and not a generator, so that a loop that ends has one generator of a tail to close.
    """

    def __init__(self, connection: Connection, stream: str, deliver: Deliver, subject: str) -> None:
        self._connection = connection
        self._stream = stream
        self._deliver = deliver
        self._subject = subject
        self._name = f"thedata-tail-{secrets.token_hex(8)}"
        self._arrived: deque[RawMessage] = deque()
        self._has_arrived = asyncio.Event()
        self._subscription = b""
        self._wire: Wire | None = None
        self._inbox = new_inbox()
        self._pulls = 0
        self._open_messages = 0
        self.pending = 0
        """Messages that waited for it when it was made."""

    async def __aenter__(self) -> Self:
        config = {
            "name": self._name,
            "description": "a tail; goes away by itself",
            "ack_policy": "none",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": _INACTIVE_S * 10**9,
            **self._deliver,
            **({"filter_subject": self._subject} if self._subject else {}),
        }
        body = json.dumps({"stream_name": self._stream, "action": "create", "config": config})
        address = f"$JS.API.CONSUMER.CREATE.{self._stream}.{self._name}"
        info = await self._connection.call(f"{address}.{self._subject}" if self._subject else address, body)
        self.pending = info["num_pending"]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._wire is not None:
            self._wire.unsubscribe(self._subscription)
        with suppress(TheDataError):
            await self._connection.call(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._name}")

    async def next_message(self) -> StreamMessage:
        """Return the next message, whenever it comes.

        Raises:
            ServiceUnreachableError: The connection was lost, the server is silent, or the consumer is gone.
        """
        if self._wire is None:
            self._wire = await self._subscribed()
        while True:
            if self._open_messages == 0:
                self._pull(self._wire)
            if not self._arrived:
                self._has_arrived.clear()
                await self._connection.wait_for(self._wire, self._has_arrived.wait(), 2 * _HEARTBEAT_S)
            raw = self._arrived.popleft()
            if raw.reply.startswith(b"$JS.ACK."):
                self._open_messages -= 1
                return delivery_of(raw).message
            if raw.subject.endswith(b".%d" % self._pulls) and not _goes_on(raw, self._connection.address):
                self._open_messages = 0

    async def _subscribed(self) -> Wire:
        wire = await self._connection.wire()
        with mapped_errors(self._connection.address):
            self._subscription = wire.subscribe(f"{self._inbox}.*", self._on_message)
        return wire

    def _on_message(self, subject: bytes, reply: bytes, header: bytes, payload: bytes) -> None:
        self._arrived.append(RawMessage(subject, reply, header, payload))
        self._has_arrived.set()

    def _pull(self, wire: Wire) -> None:
        """Ask for more; over the connection of the first pull, because what another one had taken along is lost."""
        self._pulls += 1
        self._open_messages = _PULL_MESSAGES
        body = {
            "batch": _PULL_MESSAGES,
            "expires": round(_PULL_WAIT_S * 1e9),
            "idle_heartbeat": round(_HEARTBEAT_S * 1e9),
            "max_bytes": max(MAX_REQUEST_BYTES, wire.max_payload + 65_536),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}"
        with mapped_errors(self._connection.address):
            wire.publish(subject, json.dumps(body).encode(), reply=f"{self._inbox}.{self._pulls}")


def _goes_on(raw: RawMessage, address: str) -> bool:
    """Read a status of the server: whether the pull is still open.

    Raises:
        ServiceUnreachableError: The consumer is gone.
    """
    status, words = read_status(raw.header)
    if status == "100":
        return True
    if status in ("404", "408") or words.startswith("Message Size Exceeds"):
        return False
    raise ServiceUnreachableError(f"NATS at {address} ended the tail: {words or status}")


async def _until_back(connection: Connection, stream: str) -> dict[str, Any]:
    """Wait until the server answers again, and return the stream's info."""
    while True:
        try:
            return await connection.call(f"$JS.API.STREAM.INFO.{stream}")
        except LoginRefusedError:
            raise
        except ServiceUnreachableError:
            await asyncio.sleep(_RETRY_WAIT_S)
