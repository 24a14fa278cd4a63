"""Ends a command that waits for something to print when nobody reads its output any more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def ended_by_closed_pipe() -> Iterator[None]:
    """Stop the running task once the reader of stdout has gone; without it only the next line would tell.

    Raises:
        BrokenPipeError: The reader has gone.
    """
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if task is None or not stat.S_ISFIFO(os.fstat(1).st_mode):
        yield
        return
    has_left = False

    def leave() -> None:
        nonlocal has_left
        has_left = True
        loop.remove_reader(1)
        task.cancel()

    # There is never anything to read from the writing end; what wakes the loop is that the other end was closed.
    loop.add_reader(1, leave)
    try:
        yield
    except asyncio.CancelledError:
        if not has_left:
            raise
        task.uncancel()
        raise BrokenPipeError from None
    finally:
        loop.remove_reader(1)
        sys.stdout.flush()
