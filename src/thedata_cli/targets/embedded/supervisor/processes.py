"""Processes of services: our own children, and those that an earlier supervisor left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from thedata_cli.targets.embedded.supervisor.process_spec import (
    MARKER,
    SECRETS_MARKER,
    ProcessSpec,
    Secrets,
    marker_value,
)

if TYPE_CHECKING:
    import psutil

CLOCK_TOLERANCE_S = 2.0
"""Two readings of a process's start time may differ by this much after the machine's clock was set."""

STRAY_STOP_S = 10.0


class RunningProcess(Protocol):
    """A process that can be watched and signalled."""

    @property
    def pid(self) -> int:
        """Its id, which is also the id of its group."""

    def has_exited(self) -> bool:
        """Look without waiting."""

    @property
    def exit_code(self) -> int | None:
        """After the exit: the code, negative for a signal, None when it cannot be known."""

    def send(self, number: int) -> None:
        """Signal the process, never another one that got its id."""

    def kill_group(self) -> None:
        """Kill the process and all it started."""


class Child:
    """A process that this supervisor started.

    Raises:
        OSError: The program, its directory or its log file cannot be used.
    """

    def __init__(self, spec: ProcessSpec, secrets: Secrets, project_key: str) -> None:
        markers = {MARKER: marker_value(project_key, spec.service), SECRETS_MARKER: secrets.digest}
        environment = {**os.environ, **spec.environment, **secrets.values, **markers}
        log = os.open(spec.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._popen = subprocess.Popen(
                spec.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=spec.working_dir,
                start_new_session=True,
            )
        finally:
            os.close(log)

    @property
    def pid(self) -> int:
        """Its id."""
        return self._popen.pid

    def has_exited(self) -> bool:
        """Collect the exit, and end what the process left behind in its group."""
        if self._popen.poll() is None:
            return False
        self.kill_group()
        return True

    @property
    def exit_code(self) -> int | None:
        """Negative for a signal."""
        return self._popen.returncode

    def send(self, number: int) -> None:
        """Signal the process."""
        self._popen.send_signal(number)

    def kill_group(self) -> None:
        """Kill the whole group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)


class Orphan:
    """A process of an earlier supervisor; known by pid and start time, so that a reused pid is never touched."""

    exit_code = None

    def __init__(self, process: psutil.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    def has_exited(self) -> bool:
        """A zombie that nobody collects has exited too."""
        return not is_alive(self._process)

    def send(self, number: int) -> None:
        """Signal the process."""
        if not self.has_exited():
            self._process.send_signal(number)

    def kill_group(self) -> None:
        """Kill the whole group."""
        if not self.has_exited():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)


def is_alive(process: psutil.Process) -> bool:
    """Tell whether it still runs; psutil compares the start time."""
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start_time(pid: int) -> float | None:
    """Return when a process started, in seconds since the epoch; None when it is gone."""
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def find_orphan(pid: int, started: float, marker: str) -> psutil.Process | None:
    """Return the process that an earlier supervisor recorded, when it is still the same one."""
    import psutil

    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - started) > CLOCK_TOLERANCE_S or not is_alive(process):
            return None
    except psutil.NoSuchProcess:
        return None
    environment = environment_of(process.pid)
    # Some systems hide the environment of a process even from its owner; then pid and start time must do.
    return process if not environment or environment.get(MARKER) == marker else None


def environment_of(pid: int) -> dict[str, str]:
    """Return the environment a process was started with; empty when it cannot be read."""
    import psutil

    try:
        return psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return {}


def stop_strays(project_key: str, adopted: Iterable[int]) -> list[str]:
    """End every process with the project's mark that belongs to no adopted service.

    Such a process comes from a supervisor that was killed before it could record it.

    Returns:
        One line for each, for the supervisor's log.
    """
    import psutil

    groups = set(adopted)
    strays = []
    for process in psutil.process_iter():
        marker = environment_of(process.pid).get(MARKER, "")
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if marker.startswith(f"{project_key}:") and os.getpgid(process.pid) not in groups and is_alive(process):
                strays.append(process)
                process.terminate()
    deadline = time.monotonic() + STRAY_STOP_S
    while any(map(is_alive, strays)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in filter(is_alive, strays):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return [f"ended pid {process.pid}, left by an earlier supervisor" for process in strays]
