"""From lines of input to messages: subjects, contracts, ids, and what happens around a mistake.

The same on a real broker: tests/cli/streams_and_queries/test_stream.py.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from thedata_cli.component_api.contracts import Contract, ContractField, FieldType
from thedata_cli.component_api.live import OutgoingMessage
from thedata_cli.errors import InvalidMessageError, ServiceUnreachableError
from thedata_cli.pipeline.input_lines import LONGEST_LINE, LineTooLongError, read_lines
from thedata_cli.pipeline.outgoing import MessageMaker
from thedata_cli.pipeline.publishing import LinePublisher, PublishCounts

DEPARTURES = Contract(
    "departures",
    "flights.departures.>",
    (ContractField("flight", FieldType.INT32), ContractField("origin", FieldType.STRING)),
    key=("flight", "origin"),
)
WEATHER = Contract("weather", "flights.weather.*", (ContractField("wind", FieldType.FLOAT64),))


class MemoryBroker:
    """Keeps what is published; a second message with the same id is a duplicate."""

    def __init__(self, *, fails_after: int | None = None) -> None:
        self.messages: list[OutgoingMessage] = []
        self._ids: set[str] = set()
        self._fails_after = fails_after

    async def publish(self, messages: Sequence[OutgoingMessage]) -> int:
        new = 0
        for message in messages:
            await asyncio.sleep(0)
            if self._fails_after is not None and len(self.messages) >= self._fails_after:
                raise ServiceUnreachableError("the broker is gone")
            if not message.id or message.id not in self._ids:
                self._ids.add(message.id)
                self.messages.append(message)
                new += 1
        return new


async def blocks(*texts: Sequence[bytes]) -> AsyncIterator[Sequence[bytes]]:
    for text in texts:
        yield text


def line(flight: object = 1, origin: object = "JFK", **more: Any) -> bytes:
    return json.dumps({"flight": flight, "origin": origin, **more}).encode()


@pytest.mark.parametrize(
    ("template", "payload", "subject", "id"),
    [
        ("flights.departures.JFK", line(), "flights.departures.JFK", "departures|1|JFK"),
        ("flights.departures.{origin}", line(origin="LGA"), "flights.departures.LGA", "departures|1|LGA"),
        ("flights.departures.{origin}-{flight}", line(7), "flights.departures.JFK-7", "departures|7|JFK"),
        ("flights.{origin}.x", b'{"origin":"{flight}","flight":1}', "flights.{flight}.x", ""),
        ("anything", b"no json", "anything", ""),
    ],
)
def test_subject_and_id_come_from_the_message(template: str, payload: bytes, subject: str, id: str) -> None:
    message = MessageMaker(template, [DEPARTURES, WEATHER]).message(payload)
    assert message == OutgoingMessage(subject, payload, id)


@pytest.mark.parametrize(
    ("payload", "mistake"),
    [
        (line(origin="a.b"), "origin is 'a.b', which is no token"),
        (line(origin=""), "origin is '', which is no token"),
        (line(origin="a b"), "which is no token"),
        (line(origin="a\r\nPUB x 0"), "which is no token"),
        (line(origin=">"), "which is no token"),
        (line(origin=1.5), "got `float` - at `$.origin`"),
        (b'{"flight":1}', "missing required field `origin`"),
        (b"[" * 100_000, "cannot fill the subject"),
        (line("x"), "breaks the contract departures: Expected `int`, got `str` - at `$.flight`"),
        (line(extra=1), "breaks the contract departures: Object contains unknown field `extra`"),
    ],
)
def test_a_message_that_does_not_fit_is_refused(payload: bytes, mistake: str) -> None:
    with pytest.raises(ValueError) as raised:
        MessageMaker("flights.departures.{origin}", [DEPARTURES]).message(payload)
    assert mistake in str(raised.value)


@pytest.mark.parametrize("subject", ["flights.*", "flights.>", "a..b", "", "a b", "flights.{}", "flights.{a"])
def test_a_subject_that_is_none_is_refused(subject: str) -> None:
    with pytest.raises(ValueError):
        MessageMaker(subject, [])


def test_the_contract_is_that_of_the_filled_subject() -> None:
    maker = MessageMaker("flights.{kind}.JFK", [DEPARTURES, WEATHER])
    wind = b'{"kind":"weather","wind":1}'
    with pytest.raises(ValueError, match="weather: Object contains unknown field `kind`"):
        maker.message(wind)
    assert maker.message(b'{"kind":"other","wind":"x"}').subject == "flights.other.JFK"


async def test_lines_are_published_in_order_and_empty_ones_passed_over() -> None:
    broker = MemoryBroker()
    told: list[PublishCounts] = []
    publisher = LinePublisher(MessageMaker("notes", []), broker, on_progress=told.append)
    counts = await publisher.run(blocks([b"a", b"", b"b\r"], [], [b"  ", b"c"]))
    assert [message.payload for message in broker.messages] == [b"a", b"b", b"c"]
    assert counts == PublishCounts(published=3)
    assert told[-1] == counts


async def test_everything_before_a_mistake_is_stored_and_nothing_after_it() -> None:
    broker = MemoryBroker()
    publisher = LinePublisher(MessageMaker("flights.departures.x", [DEPARTURES]), broker)
    with pytest.raises(InvalidMessageError, match=r"^line 4 breaks the contract"):
        await publisher.run(blocks([line(1), b""], [line(2), line("x"), line(3)], [line(4)]))
    assert [json.loads(message.payload)["flight"] for message in broker.messages] == [1, 2]


async def test_mistakes_can_be_left_out_and_each_is_told() -> None:
    broker = MemoryBroker()
    told: list[InvalidMessageError] = []
    publisher = LinePublisher(
        MessageMaker("flights.departures.x", [DEPARTURES]), broker, skips_invalid=True, on_skipped=told.append
    )
    counts = await publisher.run(blocks([line(1), b"{", line(1)], [line("x"), line(2)]))
    assert counts == PublishCounts(published=2, duplicates=1, skipped=2)
    assert [mistake.message.split(" breaks")[0] for mistake in told] == ["line 2", "line 4"]


async def test_a_broker_that_goes_away_ends_it_although_input_goes_on() -> None:
    async def endless() -> AsyncIterator[Sequence[bytes]]:
        while True:
            await asyncio.sleep(0)
            yield [b"x"] * 100

    publisher = LinePublisher(MessageMaker("notes", []), MemoryBroker(fails_after=500))
    with pytest.raises(ServiceUnreachableError):
        await asyncio.wait_for(publisher.run(endless()), 10)


async def test_input_waits_for_the_broker() -> None:
    released = asyncio.Event()
    read = 0

    class SlowBroker(MemoryBroker):
        async def publish(self, messages: Sequence[OutgoingMessage]) -> int:
            await released.wait()
            return await super().publish(messages)

    async def counted() -> AsyncIterator[Sequence[bytes]]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield [b"x"]
        released.set()

    running = asyncio.create_task(LinePublisher(MessageMaker("notes", []), SlowBroker()).run(counted()))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert read < 20
    released.set()
    assert (await running).published == 100


async def test_lines_come_as_soon_as_they_are_written_and_are_cut_nowhere_else() -> None:
    reading, writing = os.pipe()
    lines = read_lines(reading)
    try:
        os.write(writing, b"first\nsec")
        assert await anext(lines) == [b"first"]
        os.write(writing, b"ond\r\n\nthird")
        assert await anext(lines) == [b"second\r", b""]
        os.close(writing)
        assert [block async for block in lines] == [[b"third"]]
    finally:
        os.close(reading)


async def test_a_regular_file_is_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"".join(b"%d\n" % number for number in range(500_000)))
    with file.open("rb") as opened:
        read = [line async for block in read_lines(opened.fileno()) for line in block]
    assert read == [b"%d" % number for number in range(500_000)]


async def test_a_line_without_end_is_a_mistake_and_no_threat_to_the_memory() -> None:
    with Path("/dev/zero").open("rb") as zeros, pytest.raises(LineTooLongError):
        await anext(read_lines(zeros.fileno()))

    async def too_long() -> AsyncIterator[Sequence[bytes]]:
        yield [b"a", b"b"]
        raise LineTooLongError

    broker = MemoryBroker()
    with pytest.raises(InvalidMessageError, match=f"^line 3 is longer than {LONGEST_LINE // 2**20} MiB"):
        await LinePublisher(MessageMaker("notes", []), broker).run(too_long())
    assert len(broker.messages) == 2
