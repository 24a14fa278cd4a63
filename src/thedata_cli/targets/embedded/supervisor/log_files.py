"""Log files that services write to by themselves: rotation by copy and truncate, and our own lines in them."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

KEPT_LOGS = 3
OWN_LINE = "[thedata] "
"""Begins the lines that the supervisor writes into a service's log."""


def append_line(log_file: Path, text: str) -> None:
    """Write one line of our own; a log that cannot be written must never stop a service."""
    with contextlib.suppress(OSError):
        descriptor = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{OWN_LINE}{text}\n".encode())
        finally:
            os.close(descriptor)


def log_size(log_file: Path) -> int:
    """Return the bytes of a log; 0 when it is not there."""
    try:
        return log_file.stat().st_size
    except OSError:
        return 0


def rotate(log_file: Path, max_bytes: int) -> bool:
    """Move a log that has grown too large to `NAME.log.1`, and so on.

    The writer keeps its open file, so the content is copied and the file truncated; with O_APPEND the writer goes on at
    the new end.

    Returns:
        Whether the log was rotated.
    """
    if log_size(log_file) <= max_bytes:
        return False
    for number in range(KEPT_LOGS - 1, 0, -1):
        older = log_file.with_name(f"{log_file.name}.{number}")
        with contextlib.suppress(FileNotFoundError):
            older.replace(log_file.with_name(f"{log_file.name}.{number + 1}"))
    draft = log_file.with_name(f".{log_file.name}.rotating")
    try:
        with log_file.open("r+b", buffering=0) as source, draft.open("wb", buffering=0) as copy:
            os.fchmod(copy.fileno(), 0o600)
            while chunk := source.read(1 << 20):
                copy.write(chunk)
            source.truncate(0)
        draft.replace(log_file.with_name(f"{log_file.name}.1"))
    except OSError as error:
        draft.unlink(missing_ok=True)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return False
        # The newest lines are worth more than the older ones.
        os.truncate(log_file, 0)
    return True
