"""One command at a time changes a project's stack."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from thedata_cli.errors import RefusedError
from thedata_cli.targets.embedded.layout import explained_file_errors

LOOK_EVERY_S = 0.05


@asynccontextmanager
async def command_lock(
    path: Path, command: str, *, wait_s: float, on_wait: Callable[[str], None]
) -> AsyncIterator[None]:
    """Hold the lock, waiting for another command to end; the kernel frees it however this process ends.

    Args:
        path: The lock; holds who has it.
        command: What the others are told, such as `thedata up`.
        wait_s: Seconds to wait for another command.
        on_wait: Told once who holds the lock.

    Raises:
        RefusedError: The other command did not end in time.
    """
    with explained_file_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + wait_s
        is_told = False
        while not _try_lock(descriptor):
            if not is_told:
                on_wait(f"waits for {_holder(path)}")
                is_told = True
            if time.monotonic() > deadline:
                raise RefusedError(
                    f"{_holder(path)} has been at work on this project for more than {wait_s:g} s",
                    hint="wait for it to end, or stop it with Ctrl-C, then run the command again",
                )
            await asyncio.sleep(LOOK_EVERY_S)
        with explained_file_errors(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "command": command}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"`{holder['command']}` (pid {holder['pid']})"
    except (OSError, ValueError):
        return "another command"
