"""Tailing: every start, in order, across restarts, without a trace."""

from __future__ import annotations

import asyncio
import datetime

import pytest
from tests.components.nats.cases import COMPONENT, apply, project, read, stream, until_a_consumer_waits
from tests.components.nats_process import NatsServer

from thedata_cli.component_api.live import CanTail, OutgoingMessage, StreamMessage, TailStart
from thedata_cli.components.nats.live import NatsLive
from thedata_cli.errors import StatementRejectedError
from thedata_cli.plan.changes import Step

pytestmark = pytest.mark.live


async def publish(live: NatsLive, first: int, last: int, subject: str = "departures.x") -> None:
    await live.publish([OutgoingMessage(subject, str(number).encode()) for number in range(first, last + 1)])


def numbers(messages: list[StreamMessage]) -> list[int]:
    return [int(message.payload) for message in messages]


async def test_a_tail_from_now_sees_only_what_comes(live: NatsLive) -> None:
    assert isinstance(live, CanTail)
    await apply(live, project(stream()))
    await publish(live, 1, 3)
    tail = live.tail("departures", TailStart())
    waiting = asyncio.ensure_future(anext(tail))
    await until_a_consumer_waits(live)
    await publish(live, 4, 5)
    assert numbers([await waiting, await anext(tail)]) == [4, 5]
    await tail.aclose()


@pytest.mark.parametrize(
    ("start", "subject", "expected"),
    [
        (TailStart(sequence=4), "", [4, 5, 6]),
        (TailStart(sequence=1), "departures.even", [2, 4, 6]),
        (TailStart(last=2), "", [5, 6]),
        (TailStart(last=2), "departures.odd", [3, 5]),
        (TailStart(last=100), "", [1, 2, 3, 4, 5, 6]),
        (TailStart(last=1), "departures.first", [0]),
        (TailStart(since=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)), "departures.odd", [1, 3, 5]),
    ],
)
async def test_a_tail_begins_where_it_is_told(
    live: NatsLive, start: TailStart, subject: str, expected: list[int]
) -> None:
    await apply(live, project(stream()))
    await publish(live, 0, 0, "departures.first")
    await live.execute(Step("$JS.API.STREAM.PURGE.departures")) if subject != "departures.first" else None
    for number in range(1, 7):
        await publish(live, number, number, "departures.odd" if number % 2 else "departures.even")
    if start.sequence:
        start = TailStart(sequence=start.sequence + 1)
    assert numbers(await read(live, "departures", len(expected), start, subject)) == expected


async def test_a_tail_since_a_moment_leaves_out_what_was_before(live: NatsLive) -> None:
    await apply(live, project(stream()))
    await publish(live, 1, 2)
    moment = (await read(live, "departures", 2))[-1].time + datetime.timedelta(microseconds=1)
    await publish(live, 3, 4)
    assert numbers(await read(live, "departures", 2, TailStart(since=moment))) == [3, 4]


@pytest.mark.parametrize("start", [TailStart(last=5), TailStart(sequence=1), TailStart(sequence=9)])
async def test_an_empty_stream_waits_for_its_first_message(live: NatsLive, start: TailStart) -> None:
    await apply(live, project(stream()))
    tail = live.tail("departures", start)
    waiting = asyncio.ensure_future(anext(tail))
    await until_a_consumer_waits(live)
    await publish(live, 1, 9)
    assert (await waiting).sequence == (start.sequence or 1)
    await tail.aclose()


async def test_a_long_stream_comes_whole_and_in_order(live: NatsLive) -> None:
    await apply(live, project(stream()))
    await publish(live, 1, 12_000)
    assert numbers(await read(live, "departures", 12_000)) == list(range(1, 12_001))


async def test_a_tail_leaves_nothing_on_the_server(live: NatsLive) -> None:
    await apply(live, project(stream()))
    await publish(live, 1, 3)
    await read(live, "departures", 2, TailStart(last=2), "departures.*")
    assert [state.consumers for state in await live.streams()] == [[]]


async def test_a_stream_that_does_not_exist_or_goes_away_is_told(live: NatsLive) -> None:
    with pytest.raises(StatementRejectedError, match="stream not found") as caught:
        await anext(live.tail("departures", TailStart()))
    assert "thedata apply" in caught.value.hint
    await apply(live, project(stream()))
    waiting = asyncio.ensure_future(anext(live.tail("departures", TailStart())))
    await until_a_consumer_waits(live)
    await live.execute(Step("$JS.API.STREAM.DELETE.departures"))
    with pytest.raises(StatementRejectedError, match="stream not found"):
        await waiting


@pytest.mark.parametrize("name", ["a.b", "*", "a b"])
async def test_a_subject_is_not_taken_for_a_stream(live: NatsLive, name: str) -> None:
    with pytest.raises(StatementRejectedError, match="is not the name of a stream"):
        await anext(live.tail(name, TailStart()))


async def test_a_filter_that_is_no_subject_is_refused(live: NatsLive) -> None:
    await apply(live, project(stream()))
    with pytest.raises(StatementRejectedError, match="subject"):
        await anext(live.tail("departures", TailStart(sequence=1), subject="a b"))


async def test_a_stream_made_anew_is_read_from_its_beginning(live: NatsLive) -> None:
    await apply(live, project(stream()))
    await publish(live, 1, 3)
    tail = live.tail("departures", TailStart(sequence=3))
    assert (await anext(tail)).payload == b"3"
    for change in (await apply(live, project(stream(storage="memory")))).changes:
        assert change.action == "replace"
    await publish(live, 7, 8)
    assert numbers([await anext(tail), await anext(tail)]) == [7, 8]
    await tail.aclose()


@pytest.mark.parametrize("way", ["kill", "stop"])
async def test_a_tail_goes_on_after_a_restart(own_server: NatsServer, way: str) -> None:
    async with COMPONENT.connect(own_server.endpoint, "flights") as connected:
        assert isinstance(connected, NatsLive)
        await apply(connected, project(stream()))
        await publish(connected, 1, 3)
        tail = connected.tail("departures", TailStart(sequence=1))
        assert numbers([await anext(tail) for _ in range(2)]) == [1, 2]
        getattr(own_server, way)()
        third = asyncio.ensure_future(anext(tail))
        await asyncio.to_thread(own_server.start)
        assert (await third).payload == b"3"
        await publish(connected, 4, 4)
        assert (await anext(tail)).payload == b"4"
        await tail.aclose()


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (TailStart(is_finite=True), []),
        (TailStart(last=2, is_finite=True), [2, 3]),
        (TailStart(sequence=1, is_finite=True), [1, 2, 3]),
    ],
)
async def test_a_finite_tail_ends_after_what_was_there(live: NatsLive, start: TailStart, expected: list[int]) -> None:
    await apply(live, project(stream()))
    await publish(live, 1, 3)
    assert numbers([message async for message in live.tail("departures", start)]) == expected
