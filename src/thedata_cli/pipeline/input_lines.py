"""Lines from a file descriptor (stdin, the output of a feed), as fast as they come and no faster than they are used."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

LONGEST_LINE = 8 * 2**20
"""Bytes; far more than a broker takes, and a limit to what one line can take of the memory."""

_CHUNK = 2**20


class LineTooLongError(ValueError):
    """A line does not end; `str()` says how long it may be."""

    def __init__(self) -> None:
        super().__init__(f"is longer than {LONGEST_LINE // 2**20} MiB")


async def read_lines(descriptor: int) -> AsyncIterator[list[bytes]]:
    """Yield lines without their line ends, as many at a time as are there; the last one need not be ended.

    Raises:
        LineTooLongError: After all lines before it.
    """
    rest = b""
    while chunk := await _read(descriptor):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if lines:
            yield lines
        if len(rest) > LONGEST_LINE:
            raise LineTooLongError
    if rest:
        yield [rest]


async def _read(descriptor: int) -> bytes:
    """Wait in the event loop, so that Ctrl-C and everything else go on meanwhile, then read what is there.

    The descriptor stays in blocking mode: a terminal shares the mode with everybody who writes to it.
    """
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        # A regular file cannot be waited for; it is always ready.
        return os.read(descriptor, _CHUNK)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, _CHUNK)
