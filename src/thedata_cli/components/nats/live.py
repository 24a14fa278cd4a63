"""A connected NATS: observes and changes streams and consumers, publishes, tails, consumes, and is examined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import (
    ConsumerState,
    Consumption,
    OutgoingMessage,
    StreamMessage,
    StreamState,
    TailStart,
)
from thedata_cli.component_api.routes import Route
from thedata_cli.components.nats.component import PASSWORD_SECRET, USER
from thedata_cli.components.nats.connection import ApiError, Connection
from thedata_cli.components.nats.consume import NatsConsumption
from thedata_cli.components.nats.doctor import check_server
from thedata_cli.components.nats.kinds import consumer_id, stream_id
from thedata_cli.components.nats.publish import Publisher
from thedata_cli.components.nats.specs import (
    API_CONFIG,
    consumer_spec_of_config,
    owner_of_config,
    read_time,
    stream_spec_of_config,
)
from thedata_cli.components.nats.tail import tail_stream
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError
from thedata_cli.health import CheckResult
from thedata_cli.plan.changes import Step
from thedata_cli.plan.resources import Resource

_LISTINGS_AT_ONCE = 16

_CREATE_STREAM = "$JS.API.STREAM.CREATE."
_NO_STORE = 10049
_STORE_WAITS_S = (0.01, 0.05, 0.25, 1.0)
"""The server removes the files of a deleted stream a moment after it has said that the stream is deleted. A stream
created in that moment, as a replaced one is, may be refused, or begin with the messages of the old one."""


@asynccontextmanager
async def connect_live(endpoint: Endpoint, settings: Mapping[str, Any]) -> AsyncIterator[NatsLive]:
    """Connect, and close at the end.

    Args:
        endpoint: Where the server is.
        settings: `version`, `max_file_store` and `max_memory_store` that the project wants, for the doctor.

    Raises:
        ServiceUnreachableError: On entering, when the server does not answer or refuses the password.
    """
    connection = Connection(endpoint, user=USER, password=endpoint.secrets.get(PASSWORD_SECRET, ""))
    await connection.client()
    try:
        yield NatsLive(connection, settings)
    finally:
        await connection.close()


class NatsLive:
    """An open connection (`LiveComponent`, `CanTail`, `CanPublish`, `CanConsume`)."""

    def __init__(self, connection: Connection, settings: Mapping[str, Any]) -> None:
        self._connection = connection
        self._settings = settings
        self._publisher = Publisher(connection)

    async def version(self) -> str:
        """Return the version the server reports."""
        return await self._connection.server_version()

    async def normalise(self, desired: Sequence[Resource]) -> Sequence[Resource]:
        """Return the resources unchanged: their specs are in the server's form already."""
        return desired

    async def observe(self) -> Sequence[Resource]:
        """Return every stream and durable consumer of the account."""
        resources = []
        for stream, consumers in await self._listing():
            resources.append(_observed_stream(stream))
            resources.extend(
                _observed_consumer(consumer) for consumer in consumers if "durable_name" in consumer["config"]
            )
        return resources

    async def execute(self, step: Step) -> None:
        """Send one request of a plan."""
        if not step.call.startswith(_CREATE_STREAM):
            await self._connection.call(step.call, step.body)
            return
        for wait_s in _STORE_WAITS_S:
            if await self._is_created_empty(step):
                return
            await asyncio.sleep(wait_s)
        await self._connection.call(step.call, step.body)

    async def _is_created_empty(self, step: Step) -> bool:
        """Create a stream, unless the files of a deleted one are in the way."""
        try:
            info = await self._connection.call(step.call, step.body)
        except ApiError as error:
            if error.number != _NO_STORE:
                raise
            return False
        state = info["state"]
        if not state["messages"] or read_time(state["first_ts"]) >= read_time(info["created"]):
            return True
        await self._connection.call(f"$JS.API.STREAM.DELETE.{info['config']['name']}")
        return False

    async def check(self) -> Sequence[CheckResult]:
        """Return the doctor's findings: latency, version, storage, streams near their limits, stalled consumers."""
        return await check_server(self._connection, self._settings, await self._listing())

    async def streams(self) -> Sequence[StreamState]:
        """Return every stream of the account, sorted by name."""
        states = [_stream_state(stream, consumers) for stream, consumers in await self._listing()]
        return sorted(states, key=lambda state: state.name)

    def tail(self, stream: str, start: TailStart, *, subject: str = "") -> AsyncGenerator[StreamMessage, None]:
        """Yield messages in order, for ever; survives a restart of the server.

        Raises:
            StatementRejectedError: There is no such stream, or it was deleted meanwhile.
        """
        return tail_stream(self._connection, stream, start, subject)

    async def publish(self, messages: Sequence[OutgoingMessage]) -> int:
        """Publish in order, wait until all are stored, and return how many were new.

        Raises:
            StatementRejectedError: The first message that was refused; those after it are stored.
            ServiceUnreachableError: The outcome of some messages is unknown; with ids they can be sent again.
        """
        return await self._publisher.publish(messages)

    @asynccontextmanager
    async def consume(self, route: Route) -> AsyncIterator[Consumption]:
        """Bind to the route's consumer, which `apply` created.

        Raises:
            ServiceUnreachableError: The server, stream or consumer is not there (yet).
        """
        stream = route.stream.name
        try:
            await self._connection.call(f"$JS.API.CONSUMER.INFO.{stream}.{route.consumer}")
        except StatementRejectedError as error:
            raise ServiceUnreachableError(
                f"the consumer {route.consumer} of the stream {stream} is not there: {error.message}",
                hint="`thedata apply` creates it",
            ) from error
        async with NatsConsumption(self._connection, stream, route.consumer) as consumption:
            yield consumption

    async def _listing(self) -> Sequence[tuple[dict[str, Any], Sequence[dict[str, Any]]]]:
        """Return the API's info of each stream, and of each of its consumers."""
        streams = await self._pages("$JS.API.STREAM.LIST", "streams")
        limit = asyncio.Semaphore(_LISTINGS_AT_ONCE)

        async def consumers_of(info: dict[str, Any]) -> Sequence[dict[str, Any]]:
            if not info["state"].get("consumer_count"):
                return ()
            async with limit:
                return await self._pages(f"$JS.API.CONSUMER.LIST.{info['config']['name']}", "consumers")

        return list(zip(streams, await asyncio.gather(*map(consumers_of, streams)), strict=True))

    async def _pages(self, subject: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = await self._connection.call(subject, f'{{"offset": {len(found)}}}')
            found.extend(page.get(key) or ())
            if not page.get(key) or len(found) >= page["total"]:
                return found


def _observed_stream(info: dict[str, Any]) -> Resource:
    config, state = info["config"], info["state"]
    spec = {
        **stream_spec_of_config(config),
        "messages": state["messages"],
        "bytes": state["bytes"],
        API_CONFIG: config,
    }
    return Resource(stream_id(config["name"]), spec, managed_by=owner_of_config(config))


def _observed_consumer(info: dict[str, Any]) -> Resource:
    config, stream = info["config"], info["stream_name"]
    spec = {
        **consumer_spec_of_config(config),
        "delivered": info["delivered"]["stream_seq"],
        "acknowledged": info["ack_floor"]["stream_seq"],
        API_CONFIG: config,
    }
    return Resource(
        consumer_id(stream, info["name"]),
        spec,
        depends_on=(stream_id(stream),),
        inside=stream_id(stream),
        managed_by=owner_of_config(config),
    )


def _stream_state(info: dict[str, Any], consumers: Sequence[dict[str, Any]]) -> StreamState:
    config, state = info["config"], info["state"]
    return StreamState(
        name=config["name"],
        subjects=config.get("subjects") or (),
        messages=state["messages"],
        bytes=state["bytes"],
        first_sequence=state["first_seq"],
        last_sequence=state["last_seq"],
        first_time=read_time(state["first_ts"]) if state["messages"] else None,
        last_time=read_time(state["last_ts"]) if state["last_seq"] else None,
        consumers=[
            ConsumerState(
                name=consumer["name"],
                lag=consumer["num_pending"],
                unacknowledged=consumer["num_ack_pending"],
                redelivered=consumer["num_redelivered"],
            )
            for consumer in sorted(consumers, key=lambda consumer: str(consumer["name"]))
        ],
        config=config,
    )
