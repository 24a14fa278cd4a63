"""One service under the supervisor: what it is doing, and what must happen next."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from thedata_cli.targets.embedded.supervisor.log_files import append_line, log_size, rotate
from thedata_cli.targets.embedded.supervisor.process_spec import ProcessSpec, Secrets
from thedata_cli.targets.embedded.supervisor.processes import Child, RunningProcess

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0
STEADY_S = 30.0
"""A process that ran this long was well: the next pause is the first one again."""

Tell = Callable[[dict[str, Any]], None]


def pause_before_restart(failures: int) -> float:
    """Return the seconds to wait before the next start, after so many short lives in a row.

    Example:
        >>> [pause_before_restart(failures) for failures in (1, 2, 3, 9)]
        [0.25, 0.5, 1.0, 30.0]
    """
    return min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE_S)


class Service:
    """A process that is kept alive until somebody stops it.

    Args:
        spec: What to run.
        secrets: Variables that go into the process and nowhere else; None when only the process itself knows them.
        project_key: Marks the process.
        tell: Gets every change as a JSON object.
    """

    def __init__(self, spec: ProcessSpec, secrets: Secrets | None, project_key: str, tell: Tell) -> None:
        self.spec = spec
        self.secrets = secrets
        self.process: RunningProcess | None = None
        self.due: float | None = None
        self.restarts = 0
        self.started_at = 0.0
        self.process_started: float | None = None
        self._project_key = project_key
        self._tell = tell
        self._failures = 0
        self._log_start = 0
        self._last_exit: int | None = None
        self._error = ""
        self._is_stopping = False
        self._was_killed = False
        self._when_stopped: list[Callable[[bool], None]] = []

    @property
    def phase(self) -> str:
        """One of `running`, `stopping`, `pausing`, `stopped`."""
        if self.process:
            return "stopping" if self._is_stopping else "running"
        return "pausing" if self.due is not None else "stopped"

    def start(self) -> None:
        """Start the process now, as somebody asked for it.

        Raises:
            OSError: It cannot be started at all.
        """
        self.restarts = self._failures = 0
        self._spawn()

    def adopt(self, process: RunningProcess, started_at: float, log_start: int) -> None:
        """Take over a process of an earlier supervisor, as it runs."""
        self.process = process
        self.started_at = started_at
        self.process_started = started_at
        self._log_start = log_start

    def stop(self, when_stopped: Callable[[bool], None]) -> None:
        """Ask the process to end; `when_stopped` is told whether it had to be killed."""
        self._when_stopped.append(when_stopped)
        if self.process is None:
            self.due = None
            self._finish_stop()
        elif not self._is_stopping:
            self._is_stopping = True
            self._was_killed = False
            self.due = time.monotonic() + self.spec.stop_timeout_s
            self.process.send(signal.Signals[f"SIG{self.spec.stop_signal}"])

    def look(self) -> None:
        """Notice an exit, and do what is due."""
        if self.process and self.process.has_exited():
            self._exited(self.process.exit_code)
        if self.due is None or time.monotonic() < self.due:
            return
        self.due = None
        if self.process:
            self._was_killed = True
            self.process.kill_group()
        else:
            self.restarts += 1
            try:
                self._spawn()
            except OSError as error:
                self._failures += 1
                self._plan_restart(f"cannot be started: {error}")

    def rotate_log(self, max_bytes: int) -> None:
        """Keep the log small."""
        if rotate(Path(self.spec.log_file), max_bytes):
            self._log_start = 0

    def to_json(self) -> dict[str, Any]:
        """Return all that a command may want to know."""
        return {
            "phase": self.phase,
            "pid": self.process.pid if self.process else None,
            "started_at": self.started_at,
            "process_started": self.process_started,
            "restarts": self.restarts,
            "exit_code": self._last_exit,
            "error": self._error,
            "pause_s": max(0.0, self.due - time.monotonic()) if self.due and not self.process else 0.0,
            "log_start": self._log_start,
            "spec": self.spec.to_json(),
        }

    def _spawn(self) -> None:
        log_file = Path(self.spec.log_file)
        self._log_start = log_size(log_file)
        try:
            if self.secrets is None:
                raise OSError("its secrets are not known, `thedata up` starts it again")
            self.process = Child(self.spec, self.secrets, self._project_key)
        except OSError as error:
            self._error = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
            raise
        self.started_at = time.time()
        self.process_started = None
        self._error = ""
        self._last_exit = None
        append_line(log_file, f"{self.spec.service} started, pid {self.process.pid}")
        self._tell({"event": "started", "service": self.spec.service, "pid": self.process.pid})

    def _exited(self, code: int | None) -> None:
        pid = self.process.pid if self.process else None
        self.process = None
        self.due = None
        self._last_exit = code
        how = describe_exit(code)
        self._tell({"event": "exited", "service": self.spec.service, "pid": pid, "exit_code": code})
        if self._is_stopping:
            append_line(Path(self.spec.log_file), f"{self.spec.service} stopped: {how}")
            self._is_stopping = False
            self._finish_stop()
        else:
            self._failures = 1 if time.time() - self.started_at > STEADY_S else self._failures + 1
            self._plan_restart(how)

    def _plan_restart(self, reason: str) -> None:
        pause_s = pause_before_restart(max(1, self._failures))
        self.due = time.monotonic() + pause_s
        append_line(Path(self.spec.log_file), f"{self.spec.service} {reason}; next start in {pause_s:g} s")

    def _finish_stop(self) -> None:
        waiting, self._when_stopped = self._when_stopped, []
        for tell_one in waiting:
            tell_one(self._was_killed)


def describe_exit(code: int | None) -> str:
    """Say how a process ended.

    Example:
        >>> describe_exit(1), describe_exit(-9), describe_exit(None)
        ('exited with code 1', 'was killed by SIGKILL', 'ended')
    """
    if code is None:
        return "ended"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
