"""Reading the services' logs, also while they are written and rotated."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from thedata_cli.targets.embedded.states import LogLine

LOOK_EVERY_S = 0.1
CHUNK_BYTES = 1 << 16


def tail_lines(log_file: Path, count: int) -> tuple[list[str], int]:
    """Return the last lines of a log and the byte after them; lines of the rotated log fill up what is missing."""
    lines, end = _last_lines(log_file, count)
    if len(lines) < count:
        older, _ = _last_lines(_rotated(log_file), count - len(lines))
        lines = older + lines
    return lines, end


async def follow_logs(logs: Sequence[tuple[str, Path, int]]) -> AsyncIterator[LogLine]:
    """Yield new lines of some logs for ever.

    Args:
        logs: Service, file, and the byte to start at.
    """
    followers = [(service, _Follower(path, start)) for service, path, start in logs]
    while True:
        for service, follower in followers:
            for line in follower.new_lines():
                yield LogLine(service, line)
        await asyncio.sleep(LOOK_EVERY_S)


class _Follower:
    """Remembers how far one log was read, over its rotations."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        self._position = start
        self._rotated_file = _identity(_rotated(path))
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._partial = ""
        self._has_shrunk = False

    def new_lines(self) -> list[str]:
        text = ""
        rotated_file = _identity(_rotated(self._path))
        if rotated_file != self._rotated_file:
            text = self._read(_rotated(self._path))
            self._rotated_file = rotated_file
            self._position = 0
        elif self._is_cut():
            return []
        text += self._read(self._path)
        *complete, self._partial = (self._partial + text).split("\n")
        return [line.rstrip("\r") for line in complete]

    def _is_cut(self) -> bool:
        """Tell whether the log has just become shorter; the rotated one may appear a moment later."""
        is_short = self._path.exists() and self._path.stat().st_size < self._position
        if is_short and self._has_shrunk:
            self._position = 0
            is_short = False
        self._has_shrunk = is_short
        return is_short

    def _read(self, path: Path) -> str:
        try:
            with path.open("rb") as file:
                file.seek(self._position)
                received = file.read()
        except FileNotFoundError:
            return ""
        self._position += len(received)
        return self._decoder.decode(received)


def _last_lines(path: Path, count: int) -> tuple[list[str], int]:
    if count <= 0 or not path.exists():
        return [], path.stat().st_size if path.exists() else 0
    with path.open("rb") as file:
        end = position = file.seek(0, os.SEEK_END)
        tail = b""
        while position > 0 and tail.count(b"\n") <= count:
            step = min(CHUNK_BYTES, position)
            position -= step
            file.seek(position)
            tail = file.read(step) + tail
    # A line that is still being written is left to the follower.
    whole = tail.rfind(b"\n") + 1
    lines = tail[:whole].decode(errors="replace").split("\n")[:-1]
    return [line.rstrip("\r") for line in lines[-count:]], end - (len(tail) - whole)


def _rotated(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
