"""Reading a route's durable consumer: large pulls, cheap acknowledgements."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Sequence

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from thedata_cli.component_api.live import Delivery, StreamMessage
from thedata_cli.components.nats.connection import Connection, DialledClient, mapped_errors
from thedata_cli.errors import ServiceUnreachableError

MAX_REQUEST_BYTES = 32 * 2**20
"""Bytes of one pull at most: the server drops a client that has 64 MiB waiting for it."""

_GRACE_S = 5.0
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def delivery_of(msg: Msg) -> Delivery:
    """Read a delivered message; its reply subject carries stream, sequence, time and number of deliveries."""
    tokens = msg.reply.split(".")
    # `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`; the longer form has
    # domain and account before the stream.
    at = 2 if len(tokens) == 9 else 4
    time = _EPOCH + datetime.timedelta(microseconds=int(tokens[at + 5]) // 1000)
    message = StreamMessage(tokens[at], msg.subject, int(tokens[at + 3]), time, msg.headers or {}, msg.data)
    return Delivery(message, int(tokens[at + 2]), msg.reply)


class PullReader:
    """Pull requests on one consumer, over one connection; messages arrive in a buffer."""

    def __init__(self, connection: Connection, stream: str, consumer: str) -> None:
        self._connection = connection
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._name = f"{stream}/{consumer}"
        self._client: DialledClient | None = None
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._pulls = 0
        self._wanted = 0
        self._buffer: list[Msg] = []
        self._status: Msg | None = None
        self._ready = asyncio.Event()

    async def pull(self, max_messages: int, max_wait_s: float) -> Sequence[Msg]:
        """Return up to `max_messages`, as soon as they are there or the wait is over.

        Raises:
            ServiceUnreachableError: The connection is lost, or the consumer is gone.
        """
        client = await self._subscribed()
        if len(self._buffer) < max_messages:
            self._pulls += 1
            self._status = None
            self._wanted = max_messages
            self._ready.clear()
            body = {
                "batch": max_messages - len(self._buffer),
                "expires": max(1, round(max_wait_s * 1e9)),
                "max_bytes": max(MAX_REQUEST_BYTES, client.max_payload + 65_536),
            }
            with mapped_errors(self._connection.address):
                await client.publish(self._next, json.dumps(body).encode(), reply=f"{self._inbox}.{self._pulls}")
            await self._connection.wait_for(client, self._ready.wait(), max_wait_s + _GRACE_S)
        taken, self._buffer = self._buffer[:max_messages], self._buffer[max_messages:]
        if not taken and self._status is not None:
            self._raise_for_status(self._status)
        return taken

    async def _subscribed(self) -> DialledClient:
        client = await self._connection.client()
        if client is not self._client:
            # What an earlier connection had delivered is delivered again when its acknowledgement does not come.
            self._buffer = []
            self._inbox = client.new_inbox()
            with mapped_errors(self._connection.address):
                self._subscription = await client.subscribe(
                    f"{self._inbox}.*", cb=self._on_message, pending_msgs_limit=0, pending_bytes_limit=0
                )
            self._client = client
        return client

    async def _on_message(self, msg: Msg) -> None:
        if msg.reply:
            self._buffer.append(msg)
            if len(self._buffer) >= self._wanted:
                self._ready.set()
        elif msg.subject == f"{self._inbox}.{self._pulls}":
            # The answers to earlier pulls say nothing about this one.
            self._status = msg
            self._ready.set()

    def _raise_for_status(self, msg: Msg) -> None:
        """Tell the plain end of a pull from a consumer that is gone."""
        headers = msg.headers or {}
        status, text = headers.get("Status", ""), headers.get("Description", "")
        if status in ("404", "408") or text.startswith("Message Size Exceeds"):
            return
        reason = text or "no such consumer"
        raise ServiceUnreachableError(
            f"the consumer {self._name} at {self._connection.address} cannot be read: {reason}",
            hint="`thedata apply` creates it; `thedata stream ls` shows the streams",
        )

    async def close(self) -> None:
        """End the subscription."""
        if self._subscription is not None and self._client is not None and not self._client.is_closed:
            with mapped_errors(self._connection.address):
                await self._subscription.unsubscribe()


class NatsConsumption:
    """An open durable consumer (`Consumption`)."""

    def __init__(self, connection: Connection, stream: str, consumer: str) -> None:
        self._connection = connection
        self._reader = PullReader(connection, stream, consumer)

    async def __aenter__(self) -> NatsConsumption:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.close()

    async def fetch(self, *, max_messages: int, max_wait_s: float) -> Sequence[Delivery]:
        """Return what is there, waiting until `max_messages` or `max_wait_s`; may be empty."""
        return [delivery_of(msg) for msg in await self._reader.pull(max_messages, max_wait_s)]

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker that these are done and never to be delivered again."""
        await self._answer(deliveries, b"")

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker that these are still being worked on."""
        await self._answer(deliveries, b"+WPI")

    async def _answer(self, deliveries: Sequence[Delivery], word: bytes) -> None:
        client = await self._connection.client()
        with mapped_errors(self._connection.address):
            for delivery in deliveries:
                await client.publish(delivery.handle, word)
        await self._connection.flush()
