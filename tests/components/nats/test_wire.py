"""The bulk path's own protocol: whatever the network does with the bytes, the messages come out whole and in order."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.components.nats_process import NatsServer

from thedata_cli.components.nats.component import PASSWORD_SECRET, USER
from thedata_cli.components.nats.wire import Wire, new_inbox, read_headers, read_status, write_headers

Message = tuple[bytes, bytes, bytes, bytes]

PAYLOADS = st.one_of(st.binary(max_size=40), st.sampled_from([b"", b"\r\n", b"MSG a 1 3\r\nabc\r\n", b"PING\r\n"]))
MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([b"a", b"departures.x", "ü.x".encode()]),
        st.sampled_from([b"", b"$JS.ACK.s.c.1.2.3.4.5"]),
        st.sampled_from([b"", b"NATS/1.0\r\nA: b\r\n\r\n", b"NATS/1.0 408 Request Timeout\r\n\r\n"]),
        PAYLOADS,
    ),
    max_size=6,
)


def encoded(message: Message) -> bytes:
    subject, reply, header, payload = message
    words = [b"HMSG" if header else b"MSG", subject, b"1"]
    words += [reply] if reply else []
    words += [b"%d" % len(header)] if header else []
    return b" ".join([*words, b"%d" % (len(header) + len(payload))]) + b"\r\n" + header + payload + b"\r\n"


@settings(deadline=None)
@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 400), max_size=8))
def test_messages_come_out_whole_wherever_the_bytes_are_cut(messages: list[Message], cuts: list[int]) -> None:
    data = b"PING\r\n".join(map(encoded, messages))
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})

    async def read() -> list[Message]:
        wire = Wire()
        found: list[Message] = []
        wire.subscribe("any", lambda *message: found.append(message))
        for start, end in itertools.pairwise(places):
            wire.data_received(data[start:end])
        return found

    assert asyncio.run(read()) == messages


@settings(deadline=None)
@given(st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,9}", fullmatch=True), st.text(max_size=20), max_size=4))
def test_headers_come_back_but_for_line_breaks_and_spaces_at_the_ends(headers: dict[str, str]) -> None:
    expected = {name: value.strip().replace("\r", " ").replace("\n", " ") for name, value in headers.items()}
    assert read_headers(write_headers(headers)) == {name: value.strip() for name, value in expected.items()}


def test_a_block_without_a_status_has_none() -> None:
    assert read_status(b"NATS/1.0\r\nA: b\r\n\r\n") == ("", "")
    assert read_status(b"NATS/1.0 503\r\n\r\n") == ("503", "")


@pytest.mark.live
async def test_what_is_sent_comes_back_also_when_it_is_large(server: NatsServer) -> None:
    wire = await _dial(server)
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    inbox = new_inbox()
    wire.subscribe(inbox, lambda _subject, _reply, _header, payload: arrived.put_nowait(payload))
    payloads = [bytes([index]) * size for index, size in enumerate([0, 1, 2**20, 300_000, 2**20])]
    for payload in payloads:
        wire.publish(inbox, payload, reply="nowhere")
    await wire.flush()
    assert [arrived.get_nowait() for _ in payloads] == payloads
    wire.close()
    await wire.lost


@pytest.mark.live
async def test_a_lost_wire_ends_what_waits_and_takes_nothing_more(own_server: NatsServer) -> None:
    wire = await _dial(own_server)
    waiting = asyncio.ensure_future(_wait_on(wire))
    await wire.flush()
    own_server.kill()
    await waiting
    with pytest.raises(ConnectionResetError):
        await wire.flush()
    with pytest.raises(ConnectionResetError):
        wire.publish("a", b"", reply="b")


@pytest.mark.live
async def test_a_refused_login_says_why(server: NatsServer) -> None:
    with pytest.raises(ConnectionResetError, match="Authorization Violation"):
        await Wire.dial("127.0.0.1", server.endpoint.ports["client"], user=USER, password="guess")


async def _wait_on(wire: Wire) -> None:
    await wire.lost


async def _dial(server: NatsServer) -> Wire:
    ports, secrets = server.endpoint.ports, server.endpoint.secrets
    return await Wire.dial("127.0.0.1", ports["client"], user=USER, password=secrets[PASSWORD_SECRET])
