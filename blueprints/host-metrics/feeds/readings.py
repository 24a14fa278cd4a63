"""What the feeds share: when to read this machine, and how a reading becomes lines."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

# Nothing is buffered between lines, so that a feed can be stopped at any moment.
for _signal in (signal.SIGINT, signal.SIGTERM):
    signal.signal(_signal, lambda *_: os._exit(0))

try:
    import psutil
except ModuleNotFoundError:
    sys.exit("psutil is not installed; run: pip install psutil")

__all__ = ["HOST", "psutil", "write"]

HOST = platform.node().partition(".")[0] or "localhost"
"""Short name: with its domain it would be several tokens of a subject."""


def write(about: str, read: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
    """Print what is read, one JSON message a line, again and again; a reader that has had enough ends it quietly.

    Args:
        about: What the feed prints, for `--help`.
        read: Reads once; all that it returns gets the same time.
    """
    arguments = _arguments(about)
    next_at = time.monotonic()
    done = 0
    try:
        while done != arguments.count:
            time.sleep(max(0.0, next_at - time.monotonic()))
            _write_lines(read())
            done += 1
            # A machine that slept, or could not keep up, goes on from now: readings of the past cannot be made up for.
            next_at = max(next_at, time.monotonic() - arguments.interval) + arguments.interval
    except BrokenPipeError:
        # Python flushes standard output once more at its end; there must be somewhere for that to go.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _write_lines(messages: Iterable[Mapping[str, Any]]) -> None:
    observed_at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    for message in messages:
        line = json.dumps({"observed_at": observed_at, "host": HOST, **message}, separators=(",", ":"))
        sys.stdout.buffer.write(line.encode() + b"\n")
        sys.stdout.buffer.flush()


def _arguments(about: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--interval", type=_positive(float), default=1.0, metavar="SECONDS", help="between readings")
    parser.add_argument("--count", type=_positive(int), metavar="N", help="readings; without it, for ever")
    return parser.parse_args()


def _positive(type_: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        number = type_(text)
        if not 0 < number < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return number

    return parse
