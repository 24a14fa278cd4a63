"""Consuming: what a pipeline's worker relies on."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.components.nats.cases import COMPONENT, apply, plan_of, project, route, stream
from tests.components.nats_process import NatsServer

from thedata_cli.component_api.live import CanConsume, Delivery, OutgoingMessage
from thedata_cli.components.nats.live import NatsLive
from thedata_cli.errors import ServiceUnreachableError
from thedata_cli.plan.changes import Step

pytestmark = pytest.mark.live

ROUTE = route()


def numbered(count: int, subject: str = "departures.x") -> list[OutgoingMessage]:
    return [OutgoingMessage(subject, str(index).encode(), headers={"n": str(index)}) for index in range(count)]


def payloads(deliveries: list[Delivery]) -> list[int]:
    return [int(delivery.message.payload) for delivery in deliveries]


async def test_batches_come_in_order_and_what_is_acknowledged_does_not_come_again(live: NatsLive) -> None:
    assert isinstance(live, CanConsume)
    await apply(live, project(stream(), routes=[ROUTE]))
    await live.publish(numbered(1200))
    async with live.consume(ROUTE) as consumption:
        first = list(await consumption.fetch(max_messages=500, max_wait_s=5))
        second = list(await consumption.fetch(max_messages=500, max_wait_s=5))
        rest = list(await consumption.fetch(max_messages=500, max_wait_s=0.1))
        assert [payloads(first), payloads(second), payloads(rest)] == [
            list(range(500)),
            list(range(500, 1000)),
            list(range(1000, 1200)),
        ]
        await consumption.acknowledge([*first, *second, *rest])
        assert await consumption.fetch(max_messages=500, max_wait_s=0.05) == []

    message = first[7].message
    assert (message.stream, message.subject, message.sequence) == ("departures", "departures.x", 8)
    assert dict(message.headers) == {"n": "7"}
    assert abs(message.time.timestamp() - time.time()) < 60
    state = (await live.streams())[-1]
    assert state.name == "departures"
    assert [(one.name, one.lag, one.unacknowledged) for one in state.consumers] == [(ROUTE.consumer, 0, 0)]


async def test_a_fetch_does_not_wait_longer_than_it_may(live: NatsLive) -> None:
    await apply(live, project(stream(), routes=[ROUTE]))
    await live.publish(numbered(3))
    async with live.consume(ROUTE) as consumption:
        started = time.monotonic()
        assert len(await consumption.fetch(max_messages=500, max_wait_s=0.1)) == 3
        assert 0.09 < time.monotonic() - started < 3


async def test_an_unacknowledged_message_comes_again_and_says_so(live: NatsLive) -> None:
    quick = route(ack_wait_s=1.0)
    await apply(live, project(stream(), routes=[quick]))
    await live.publish(numbered(2))
    async with live.consume(quick) as consumption:
        first = await consumption.fetch(max_messages=2, max_wait_s=5)
        assert [delivery.deliveries for delivery in first] == [1, 1]
        await consumption.acknowledge(first[:1])
        again = await consumption.fetch(max_messages=1, max_wait_s=5)
        assert [(delivery.message.sequence, delivery.deliveries) for delivery in again] == [(2, 2)]


async def test_work_that_takes_longer_keeps_its_messages(live: NatsLive) -> None:
    quick = route(ack_wait_s=1.0)
    await apply(live, project(stream(), routes=[quick]))
    await live.publish(numbered(1))
    async with live.consume(quick) as consumption:
        first = await consumption.fetch(max_messages=1, max_wait_s=5)
        for _ in range(5):
            await consumption.extend(first)
            assert await consumption.fetch(max_messages=1, max_wait_s=0.3) == []
        await consumption.acknowledge(first)


async def test_a_filter_leaves_the_other_messages_out(live: NatsLive) -> None:
    filtered = route(subject="departures.late.*")
    await apply(live, project(stream(), routes=[filtered]))
    await live.publish([*numbered(2), *numbered(3, "departures.late.x")])
    async with live.consume(filtered) as consumption:
        assert len(await consumption.fetch(max_messages=10, max_wait_s=0.1)) == 3


async def test_a_batch_of_large_messages_comes_in_parts(live: NatsLive) -> None:
    await apply(live, project(stream(), routes=[ROUTE]))
    await live.publish([OutgoingMessage("departures.x", bytes(900_000)) for _ in range(60)])
    async with live.consume(ROUTE) as consumption:
        sizes: list[int] = []
        while sum(sizes) < 60:
            got = await consumption.fetch(max_messages=500, max_wait_s=1)
            await consumption.acknowledge(got)
            sizes.append(len(got))
    assert max(sizes) * 900_000 < 40_000_000


async def test_a_consumer_that_is_not_there_yet_is_unreachable(live: NatsLive) -> None:
    await apply(live, project(stream()))
    with pytest.raises(ServiceUnreachableError, match="departures-questdb-departures") as caught:
        async with live.consume(ROUTE):
            pass
    assert "thedata apply" in caught.value.hint


async def test_a_consumer_that_goes_away_is_unreachable_until_it_is_there_again(live: NatsLive) -> None:
    view = project(stream(), routes=[ROUTE])
    await apply(live, view)
    async with live.consume(ROUTE) as consumption:
        await live.execute(Step(f"$JS.API.CONSUMER.DELETE.departures.{ROUTE.consumer}"))
        with pytest.raises(ServiceUnreachableError, match="cannot be read"):
            await consumption.fetch(max_messages=1, max_wait_s=0.5)
        await apply(live, view)
        await live.publish(numbered(1))
        assert len(await consumption.fetch(max_messages=1, max_wait_s=5)) == 1


@pytest.mark.parametrize("way", ["kill", "stop"])
async def test_a_lost_server_is_told_and_the_same_consumption_goes_on(own_server: NatsServer, way: str) -> None:
    view = project(stream(), routes=[ROUTE])
    async with COMPONENT.connect(own_server.endpoint, "flights") as connected:
        assert isinstance(connected, NatsLive)
        await apply(connected, view)
        await connected.publish(numbered(6))
        async with connected.consume(ROUTE) as consumption:
            held = await consumption.fetch(max_messages=2, max_wait_s=5)
            getattr(own_server, way)()
            with pytest.raises(ServiceUnreachableError):
                await consumption.fetch(max_messages=10, max_wait_s=5)
            with pytest.raises(ServiceUnreachableError):
                await consumption.acknowledge(held)
            await asyncio.to_thread(own_server.start)
            seen: set[int] = set()
            while len(seen) < 6:
                for delivery in await consumption.fetch(max_messages=6, max_wait_s=0.2):
                    seen.add(delivery.message.sequence)
                    await consumption.acknowledge([delivery])
                await consumption.acknowledge(held)
                seen |= {delivery.message.sequence for delivery in held}
        assert str(await plan_of(connected, view)) == "no changes"
