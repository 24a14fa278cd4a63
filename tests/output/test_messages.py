"""Messages of a stream, line by line."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.output.samples import BINARY_MESSAGE, MESSAGE, console, printed
from thedata_cli.output.messages import MessageLines, PrettyMessages, message_line


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"a": 1.10,\n "b": [1e400]}', '{"a":1.10,"b":[1e400]}'),
        (b"12345678901234567890123", "12345678901234567890123"),
        ('"ü"'.encode(), '"ü"'),
        (b" null ", "null"),
    ],
)
def test_a_json_payload_keeps_its_digits_and_is_one_line(payload: bytes, expected: str) -> None:
    line = message_line(dataclasses.replace(MESSAGE, payload=payload)).decode()
    assert line.endswith(f'"payload":{expected}}}\n')
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    "payload",
    [b"", b"hello", b"\x00\xff", b'{"a":1} x', b'"\xff"', b'"\\ud800"', b"NaN", b"[" * 100_000, b"\xef\xbb\xbf{}"],
)
def test_a_payload_that_is_no_json_is_kept_byte_by_byte(payload: bytes) -> None:
    line = json.loads(message_line(dataclasses.replace(MESSAGE, payload=payload)))
    assert "payload" not in line
    assert base64.b64decode(line["payload_base64"]) == payload


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_payload_gives_one_line_of_json(payload: bytes) -> None:
    line = message_line(dataclasses.replace(MESSAGE, payload=payload))
    assert line.count(b"\n") == 1
    assert list(json.loads(line))[:5] == ["stream", "subject", "sequence", "time", "headers"]


def test_each_line_is_flushed() -> None:
    flushed: list[bytes] = []

    class Sink(io.BytesIO):
        def flush(self) -> None:
            flushed.append(self.getvalue())

    lines = MessageLines(Sink())
    lines.print(MESSAGE)
    lines.print(BINARY_MESSAGE)
    assert [written.count(b"\n") for written in flushed] == [1, 2]


def test_pretty_off_a_terminal_is_plain_text() -> None:
    target = console()
    PrettyMessages(target).print(MESSAGE)
    PrettyMessages(target, with_headers=True).print(MESSAGE)
    line = '2013-01-01T10:15:00.000Z  flights.departures.JFK  7  {"carrier":"AA","flight":1,"share":0.10}\n'
    assert printed(target) == line * 2 + "    Nats-Msg-Id: AA|1\n"


def test_pretty_on_a_terminal_colours_json_and_says_the_same() -> None:
    target = console(is_terminal=True)
    PrettyMessages(target, with_headers=True).print(MESSAGE)
    assert '\x1b[34m"carrier"\x1b[0m:\x1b[32m"AA"\x1b[0m' in printed(target)
    plain = console()
    PrettyMessages(plain, with_headers=True).print(MESSAGE)
    assert re.sub(r"\x1b\[\d+m", "", printed(target)) == printed(plain)


def test_a_payload_cannot_command_the_terminal() -> None:
    target = console(is_terminal=True)
    PrettyMessages(target).print(BINARY_MESSAGE)
    assert printed(target).endswith("  \\x00\\x1b[31m\\xff\n")
