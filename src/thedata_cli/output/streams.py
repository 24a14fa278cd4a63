"""Streams: the list of them and one of them, for people and as `thedata/streams/1` and `thedata/stream/1`."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.live import ConsumerState, StreamState
from thedata_cli.output.quantities import bytes_text
from thedata_cli.output.table import Listing, print_listing, printable
from thedata_cli.output.values import text

if TYPE_CHECKING:
    from rich.console import Console


def print_streams(console: Console, streams: Sequence[StreamState]) -> None:
    """Print a line per stream."""
    if not streams:
        console.print("There are no streams.")
        return
    rows = [
        (
            stream.name,
            ", ".join(stream.subjects),
            str(stream.messages),
            bytes_text(stream.bytes),
            _time(stream.last_time),
            str(len(stream.consumers)),
            str(max((consumer.lag for consumer in stream.consumers), default=0)) if stream.consumers else None,
        )
        for stream in streams
    ]
    names = ("STREAM", "SUBJECTS", "MESSAGES", "SIZE", "LAST MESSAGE", "CONSUMERS", "LAG")
    print_listing(console, Listing(names, rows, frozenset({"MESSAGES", "SIZE", "CONSUMERS", "LAG"})))


def print_stream(console: Console, stream: StreamState) -> None:
    """Print what one stream holds, its consumers and its configuration."""
    _print_facts(
        console,
        f"Stream {stream.name}",
        {
            "subjects": ", ".join(stream.subjects),
            "messages": str(stream.messages),
            "size": bytes_text(stream.bytes),
            "first": f"sequence {stream.first_sequence}, {_time(stream.first_time)}" if stream.messages else None,
            "last": f"sequence {stream.last_sequence}, {_time(stream.last_time)}" if stream.messages else None,
        },
    )
    console.print("\nConsumers", style="bold")
    if stream.consumers:
        rows = [
            (consumer.name, str(consumer.lag), str(consumer.unacknowledged), str(consumer.redelivered))
            for consumer in stream.consumers
        ]
        names = ("NAME", "LAG", "UNACKNOWLEDGED", "REDELIVERED")
        print_listing(console, Listing(names, rows, frozenset(names[1:])))
    else:
        console.print("There are none.")
    if stream.config:
        console.print()
        _print_facts(console, "Configuration", {name: text(value) for name, value in stream.config.items()})


def streams_document(streams: Sequence[StreamState]) -> dict[str, Any]:
    """Return the JSON form of the list of streams."""
    return {"schema": "thedata/streams/1", "streams": [_state(stream) for stream in streams]}


def stream_document(stream: StreamState) -> dict[str, Any]:
    """Return the JSON form of one stream, with its configuration as the broker has it."""
    return {"schema": "thedata/stream/1", **_state(stream), "config": dict(stream.config)}


def _state(stream: StreamState) -> dict[str, Any]:
    return {
        "name": stream.name,
        "subjects": list(stream.subjects),
        "messages": stream.messages,
        "bytes": stream.bytes,
        "first_sequence": stream.first_sequence,
        "last_sequence": stream.last_sequence,
        "first_time": _time(stream.first_time),
        "last_time": _time(stream.last_time),
        "consumers": [_consumer(consumer) for consumer in stream.consumers],
    }


def _consumer(consumer: ConsumerState) -> dict[str, Any]:
    return {
        "name": consumer.name,
        "lag": consumer.lag,
        "unacknowledged": consumer.unacknowledged,
        "redelivered": consumer.redelivered,
    }


def _time(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else text(moment)


def _print_facts(console: Console, title: str, facts: dict[str, str | None]) -> None:
    """Print names and values below each other."""
    from rich.text import Text

    console.print(title, style="bold", markup=False, soft_wrap=True)
    width = max(map(len, facts))
    for name, value in facts.items():
        if value is not None:
            line = Text.assemble((f"  {name:<{width}}  ", "dim"), printable(value))
            console.print(line, soft_wrap=True, highlight=False)
