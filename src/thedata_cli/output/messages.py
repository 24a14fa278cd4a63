"""Messages of a stream: one line each, for people or as JSON Lines."""

from __future__ import annotations

import datetime
import re
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

from thedata_cli.component_api.live import StreamMessage
from thedata_cli.output.table import printable
from thedata_cli.output.values import json_encoder

if TYPE_CHECKING:
    import msgspec
    from rich.console import Console
    from rich.text import Text


class MessageLines:
    """JSON Lines: `{"stream", "subject", "sequence", "time", "headers", "payload"}`.

    The payload is the message's own JSON, digit by digit; what is not JSON is in `payload_base64` instead.

    Args:
        sink: Gets the lines, flushed one by one.
    """

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def print(self, message: StreamMessage) -> None:
        """Write one message.

        Raises:
            BrokenPipeError: The reader of the sink has gone.
        """
        self._sink.write(message_line(message))
        self._sink.flush()


class PrettyMessages:
    """For people: time, subject, sequence and payload; binary bytes as escapes.

    Args:
        console: Where to print; coloured when it is a terminal.
        with_headers: Also the headers, below each message.
    """

    def __init__(self, console: Console, *, with_headers: bool = False) -> None:
        self._console = console
        self._with_headers = with_headers

    def print(self, message: StreamMessage) -> None:
        """Print one message.

        Raises:
            BrokenPipeError: The reader has gone.
        """
        line = _styled_line(message, self._with_headers) if self._console.is_terminal else None
        self._console.print(
            line or pretty_line(message, with_headers=self._with_headers), soft_wrap=True, markup=False, highlight=False
        )


def message_line(message: StreamMessage) -> bytes:
    r"""Return the JSON of one message and a line feed.

    Example:
        >>> moment = datetime.datetime(2013, 1, 1, 10, tzinfo=datetime.UTC)
        >>> message_line(StreamMessage("s", "s.a", 7, moment, {}, b'{"a": 1.10}'))
        b'{"stream":"s","subject":"s.a","sequence":7,"time":"2013-01-01T10:00:00Z","headers":{},"payload":{"a":1.10}}\n'
    """
    content: dict[str, object] = {
        "stream": message.stream,
        "subject": message.subject,
        "sequence": message.sequence,
        "time": message.time.astimezone(datetime.UTC),
        "headers": dict(message.headers),
    }
    payload = _json_payload(message.payload)
    if payload is None:
        content["payload_base64"] = message.payload
    else:
        content["payload"] = payload
    return json_encoder().encode(content) + b"\n"


def pretty_line(message: StreamMessage, *, with_headers: bool = False) -> str:
    r"""Return the text of one message, without the last line feed.

    Example:
        >>> moment = datetime.datetime(2013, 1, 1, 10, tzinfo=datetime.UTC)
        >>> pretty_line(StreamMessage("s", "s.a", 7, moment, {}, b"\x00 \xff"))
        '2013-01-01T10:00:00.000Z  s.a  7  \\x00 \\xff'
    """
    begin = f"{time_text(message.time)}  {printable(message.subject)}  {message.sequence}"
    lines = [f"{begin}  {_payload_text(message.payload)}"]
    if with_headers:
        lines += [f"    {printable(name)}: {printable(value)}" for name, value in message.headers.items()]
    return "\n".join(lines)


def _styled_line(message: StreamMessage, with_headers: bool) -> Text:
    from rich.text import Text

    line = Text()
    line.append(time_text(message.time), "dim").append("  ")
    line.append(printable(message.subject), "cyan").append("  ")
    line.append(str(message.sequence), "bold").append("  ")
    payload = _payload_text(message.payload)
    line.append_text(Text(payload) if _json_payload(message.payload) is None else coloured_json(payload))
    if with_headers:
        for name, value in message.headers.items():
            line.append(f"\n    {printable(name)}", "magenta").append(f": {printable(value)}", "dim")
    return line


_JSON_TOKENS = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=:)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?\d[\d.eE+-]*)|(?P<word>true|false|null)'
)
_COLOURS = {"key": "blue", "text": "green", "number": "yellow", "word": "magenta"}


def coloured_json(written: str) -> Text:
    """Return JSON with its keys and values in colour."""
    from rich.text import Text

    text = Text(written)
    for token in _JSON_TOKENS.finditer(written):
        text.stylize(_COLOURS[token.lastgroup or "text"], *token.span())
    return text


def time_text(time: datetime.datetime) -> str:
    """Return a time in UTC; milliseconds are always there, so that the columns stand still."""
    return time.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _payload_text(payload: bytes) -> str:
    compact = _json_payload(payload)
    if compact is not None:
        return printable(bytes(compact).decode())
    return printable(payload.decode("utf-8", "backslashreplace"))


@cache
def _json_check() -> msgspec.json.Decoder[msgspec.Raw]:
    import msgspec

    return msgspec.json.Decoder(msgspec.Raw)


def _json_payload(payload: bytes) -> msgspec.Raw | None:
    """Return the payload as JSON on one line, its numbers and texts untouched; None when it is no JSON in UTF-8."""
    import msgspec

    try:
        _json_check().decode(payload)
        if not payload.isascii():
            payload.decode()
        return msgspec.Raw(msgspec.json.format(payload, indent=-1))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
