"""Start the supervisor: take the lock, listen, and only then let the command go on.

Usage: `python -m thedata_cli.targets.embedded.supervisor STATE_DIR LOG_DIR SOCKET KEY LOG_MAX_BYTES`
"""

from __future__ import annotations

import fcntl
import os
import resource
import sys
from pathlib import Path

from thedata_cli.targets.embedded.supervisor.server import Supervisor, listen, log_own

ALREADY_RUNS = 3
"""Exit code when another supervisor has the project."""

MOST_FILES = 1 << 20
"""Some programs walk over every possible file descriptor, so "unlimited" is not taken at its word."""
MOST_FILES_MACOS = 10_240


def main() -> int:
    """Run as the supervisor of one project; the calling process returns as soon as requests are answered."""
    state_dir, log_dir, socket_path, project_key, log_max_bytes = sys.argv[1:]
    lock = os.open(Path(state_dir, "supervisor.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ALREADY_RUNS
    listener = listen(Path(socket_path))
    # The child is nobody's child: no zombie is left to the command, no terminal can reach it.
    if os.fork():
        os._exit(0)
    _redirect_output(Path(log_dir, "supervisor.log"))
    _raise_file_limit()
    supervisor = Supervisor(
        record_file=Path(state_dir, "supervisor.json"),
        socket_path=Path(socket_path),
        listener=listener,
        project_key=project_key,
        log_dir=Path(log_dir),
        log_max_bytes=int(log_max_bytes),
    )
    try:
        log_own(f"supervisor started, pid {os.getpid()}")
        supervisor.run()
    except BaseException:
        import traceback

        log_own(traceback.format_exc())
        raise
    log_own("supervisor ended")
    return 0


def _redirect_output(log_file: Path) -> None:
    log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def _raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    for soft in (wanted, MOST_FILES_MACOS):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (ValueError, OSError):
            continue
        return


if __name__ == "__main__":
    sys.exit(main())
