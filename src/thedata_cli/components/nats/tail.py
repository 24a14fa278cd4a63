"""Reading a stream as it grows, without leaving a trace on the server."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from nats.aio.msg import Msg

from thedata_cli.component_api.live import StreamMessage, TailStart
from thedata_cli.components.nats.connection import Connection, LoginRefusedError, mapped_errors
from thedata_cli.components.nats.consume import delivery_of
from thedata_cli.errors import ServiceUnreachableError, TheDataError

Deliver = Mapping[str, Any]
"""The part of a consumer's config that says where it begins."""

_PULL_MESSAGES = 1000
_PULL_WAIT_S = 20.0
_HEARTBEAT_S = 2.0
_RETRY_WAIT_S = 0.2
_INACTIVE_S = 30
"""The server deletes the consumer of a tail that was killed after that long."""


async def tail_stream(
    connection: Connection, stream: str, start: TailStart, subject: str
) -> AsyncIterator[StreamMessage]:
    """Yield messages in order, for ever.

    A temporary consumer in the server's memory delivers them. When it is lost, by a restart of the server or a broken
    connection, another one takes over after the last message that was yielded.
    """
    info = await connection.call(f"$JS.API.STREAM.INFO.{stream}")
    created = info["created"]
    deliver, skip = await _begin(connection, info, start, subject)
    while True:
        try:
            async with _temporary_consumer(connection, stream, deliver, subject) as (name, _):
                async for message in _messages(connection, stream, name):
                    deliver = _from_sequence(message.sequence + 1)
                    if skip:
                        skip -= 1
                    else:
                        yield message
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
        async with _temporary_consumer(connection, stream, deliver, subject) as (_, pending):
            if pending >= count or deliver["opt_start_seq"] <= max(1, state["first_seq"]):
                return deliver, max(0, pending - count)
        distance *= 2


@asynccontextmanager
async def _temporary_consumer(
    connection: Connection, stream: str, deliver: Deliver, subject: str
) -> AsyncIterator[tuple[str, int]]:
    """Make a consumer, yield its name and how many messages wait for it, and delete it."""
    name = f"thedata-tail-{secrets.token_hex(8)}"
    config = {
        "name": name,
        "description": "a tail; goes away by itself",
        "ack_policy": "none",
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": _INACTIVE_S * 10**9,
        **deliver,
        **({"filter_subject": subject} if subject else {}),
    }
    body = json.dumps({"stream_name": stream, "action": "create", "config": config})
    filtered = f".{subject}" if subject else ""
    info = await connection.call(f"$JS.API.CONSUMER.CREATE.{stream}.{name}{filtered}", body)
    try:
        yield name, info["num_pending"]
    finally:
        with suppress(TheDataError):
            await connection.call(f"$JS.API.CONSUMER.DELETE.{stream}.{name}")


async def _messages(connection: Connection, stream: str, consumer: str) -> AsyncIterator[StreamMessage]:
    """Yield what the consumer delivers over this connection.

    Raises:
        ServiceUnreachableError: The connection was lost, the server is silent, or the consumer is gone.
    """
    client = await connection.client()
    inbox = client.new_inbox()
    arrived: asyncio.Queue[Msg] = asyncio.Queue()

    async def on_message(msg: Msg) -> None:
        arrived.put_nowait(msg)

    with mapped_errors(connection.address):
        subscription = await client.subscribe(f"{inbox}.*", cb=on_message)
    pull = {
        "batch": _PULL_MESSAGES,
        "expires": round(_PULL_WAIT_S * 1e9),
        "idle_heartbeat": round(_HEARTBEAT_S * 1e9),
    }
    number = received = 0
    is_pulling = False
    try:
        while True:
            if not is_pulling:
                number, received, is_pulling = number + 1, 0, True
                with mapped_errors(connection.address):
                    await client.publish(
                        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", json.dumps(pull).encode(), f"{inbox}.{number}"
                    )
            msg = (
                await connection.wait_for(arrived.get(), 2 * _HEARTBEAT_S) if arrived.empty() else arrived.get_nowait()
            )
            if msg.reply.startswith("$JS.ACK."):
                received += 1
                is_pulling = received < _PULL_MESSAGES
                yield delivery_of(msg).message
            elif msg.subject == f"{inbox}.{number}":
                is_pulling = _goes_on(msg, connection.address)
    finally:
        if not client.is_closed:
            with mapped_errors(connection.address):
                await subscription.unsubscribe()


def _goes_on(msg: Msg, address: str) -> bool:
    """Read a status of the server: whether the pull is still open.

    Raises:
        ServiceUnreachableError: The consumer is gone.
    """
    status = (msg.headers or {}).get("Status", "")
    if status == "100":
        return True
    if status in ("404", "408"):
        return False
    raise ServiceUnreachableError(f"NATS at {address} ended the tail: {(msg.headers or {}).get('Description', status)}")


async def _until_back(connection: Connection, stream: str) -> dict[str, Any]:
    """Wait until the server answers again, and return the stream's info."""
    while True:
        try:
            return await connection.call(f"$JS.API.STREAM.INFO.{stream}")
        except LoginRefusedError:
            raise
        except ServiceUnreachableError:
            await asyncio.sleep(_RETRY_WAIT_S)
