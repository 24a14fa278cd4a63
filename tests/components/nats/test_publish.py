"""Publishing: stored in order, acknowledged, second copies dropped, refusals told."""

from __future__ import annotations

import asyncio
import resource
import sys

import pytest
from tests.components.nats.cases import COMPONENT, apply, project, read, stream
from tests.components.nats_process import NatsServer

from thedata_cli.component_api.live import CanPublish, OutgoingMessage
from thedata_cli.components.nats.live import NatsLive
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError

pytestmark = pytest.mark.live


def numbered(count: int, *, ids: bool = False) -> list[OutgoingMessage]:
    return [
        OutgoingMessage(f"departures.{index % 3}", str(index).encode(), id=str(index) if ids else "")
        for index in range(count)
    ]


async def test_messages_are_stored_in_order_with_their_headers(live: NatsLive) -> None:
    await apply(live, project(stream()))
    assert isinstance(live, CanPublish)
    headed = OutgoingMessage("departures.x", b"\x00\xff", id="one", headers={"origin": "Zürich", "b": "2"})

    assert await live.publish([*numbered(20_000), headed]) == 20_001

    messages = await read(live, "departures", 20_001)
    assert [message.payload for message in messages[:-1]] == [str(index).encode() for index in range(20_000)]
    assert messages[-1].payload == b"\x00\xff"
    assert dict(messages[-1].headers) == {"origin": "Zürich", "b": "2", "Nats-Msg-Id": "one"}


async def test_a_second_copy_is_dropped_and_counted(live: NatsLive) -> None:
    await apply(live, project(stream()))
    assert await live.publish(numbered(10, ids=True)) == 10
    assert await live.publish(numbered(15, ids=True)) == 5
    assert [state.messages for state in await live.streams()] == [15]


async def test_calls_at_the_same_time_do_not_mix_up_their_answers(live: NatsLive) -> None:
    await apply(live, project(stream()))
    first = [OutgoingMessage("departures.a", b"", id=str(index)) for index in range(5000)]
    second = [OutgoingMessage("departures.b", b"", id=str(index)) for index in range(5000)]
    assert sum(await asyncio.gather(live.publish(first), live.publish(second))) == 5000


async def test_nothing_to_publish_is_fine(live: NatsLive) -> None:
    assert await live.publish([]) == 0


async def test_a_subject_that_no_stream_takes_is_an_error_and_the_others_are_stored(live: NatsLive) -> None:
    await apply(live, project(stream()))
    with pytest.raises(StatementRejectedError, match=r"no stream takes the subject 'arrivals\.x'") as caught:
        await live.publish([*numbered(2), OutgoingMessage("arrivals.x", b""), *numbered(2)])
    assert "thedata stream ls" in caught.value.hint
    assert [state.messages for state in await live.streams()] == [4]


async def test_a_full_stream_refuses_with_its_reason(live: NatsLive) -> None:
    await apply(live, project(stream(max_messages=2, discard="new")))
    with pytest.raises(StatementRejectedError, match="maximum messages exceeded") as caught:
        await live.publish(numbered(3))
    assert "limits" in caught.value.hint


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (OutgoingMessage("departures.x", b"x" * (2**20 + 1)), "larger than the 1048576"),
        (OutgoingMessage("departures.x", b"x" * 2**20, headers={"a": "b"}), "larger than the 1048576"),
        (OutgoingMessage("departures. x", b""), "not a subject"),
        (OutgoingMessage("departures.*", b""), "is a pattern"),
        (OutgoingMessage("departures.x", b"", headers={"a b": "c"}), "not the name of a header"),
    ],
)
async def test_a_message_that_cannot_be_sent_is_refused_and_the_connection_lives(
    live: NatsLive, message: OutgoingMessage, reason: str
) -> None:
    await apply(live, project(stream()))
    with pytest.raises(StatementRejectedError, match=f"(?i){reason}"):
        await live.publish([*numbered(2), message])
    assert await live.publish(numbered(1)) == 1
    assert [state.messages for state in await live.streams()] == [1]


async def test_a_lost_server_is_told_at_once_and_publishing_goes_on_when_it_is_back(own_server: NatsServer) -> None:
    async with COMPONENT.connect(own_server.endpoint, "flights") as connected:
        assert isinstance(connected, NatsLive)
        await apply(connected, project(stream()))
        await connected.publish(numbered(1))
        own_server.kill()
        with pytest.raises(ServiceUnreachableError):
            await connected.publish(numbered(10))
        with pytest.raises(ServiceUnreachableError, match="nothing listens"):
            await connected.publish(numbered(10))
        await asyncio.to_thread(own_server.start)
        assert await connected.publish(numbered(10)) == 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a running process from outside")
async def test_a_server_that_cannot_write_is_told_with_its_reason(
    own_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thedata_cli.components.nats.publish._ACK_TIMEOUT_S", 2)
    async with COMPONENT.connect(own_server.endpoint, "flights") as connected:
        assert isinstance(connected, NatsLive)
        await apply(connected, project(stream()))
        await connected.publish(numbered(100))
        # Fails as a full disk does, on any disk.
        resource.prlimit(own_server.process.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        with pytest.raises(ServiceUnreachableError, match=r"NATS stores nothing: .*file too large") as caught:
            await connected.publish(numbered(10_000))
        assert "thedata restart nats" in caught.value.hint
