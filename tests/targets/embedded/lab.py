"""What the tests of the embedded target share: targets on fake components, and looks at real processes."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from tests.targets.embedded.fake_components import FakeComponent, stack
from thedata_cli.targets.embedded.layout import Layout
from thedata_cli.targets.embedded.runtime import EmbeddedTarget
from thedata_cli.targets.embedded.states import ServiceEvent, ServicePhase, ServiceState
from thedata_cli.targets.embedded.supervisor.process_spec import MARKER
from thedata_cli.targets.embedded.supervisor.processes import is_alive

PYTHON = sys.executable


class Lab:
    """A project directory on the embedded target."""

    def __init__(self, project_dir: Path) -> None:
        self.project_dir = project_dir
        self.layout = Layout(project_dir)
        self.events: list[ServiceEvent] = []

    def target(
        self, *components: FakeComponent, secrets: Mapping[str, str] | None = None, log_max_bytes: int = 10_000_000
    ) -> EmbeddedTarget:
        return EmbeddedTarget(
            self.project_dir,
            "lab",
            stack(*components),
            secrets or {},
            cache_dir=self.project_dir.parent / "cache",
            log_max_bytes=log_max_bytes,
        )

    async def up(self, target: EmbeddedTarget, timeout_s: float = 20) -> Mapping[str, ServiceState]:
        self.events = []
        return by_name(await target.up(timeout_s=timeout_s, on_event=self.events.append))

    async def down(self, target: EmbeddedTarget) -> Mapping[str, ServiceState]:
        self.events = []
        return by_name(await target.down(on_event=self.events.append))

    def phases(self, service: str) -> list[ServicePhase]:
        return [event.state for event in self.events if event.service == service]

    def details(self, service: str) -> str:
        return "\n".join(event.detail for event in self.events if event.service == service)

    def moment(self, service: str, state: ServicePhase) -> float:
        return next(event.seconds for event in self.events if (event.service, event.state) == (service, state))

    def changed(self) -> set[str]:
        return {event.service for event in self.events if event.state is ServicePhase.HEALTHY and event.changed}

    @property
    def supervisor_pid(self) -> int:
        return int(json.loads(self.layout.record_file.read_text())["pid"])

    async def kill_supervisor(self, recorded: int) -> None:
        """Kill it once it has recorded so many services, which it does a moment after their start."""
        await eventually(lambda: self.is_recorded(recorded))
        process = psutil.Process(self.supervisor_pid)
        process.kill()
        await eventually(lambda: not is_alive(process))

    def processes(self) -> list[psutil.Process]:
        """Return every process with the mark of this project."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARKER, "").startswith(f"{self.layout.key}:"):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def is_recorded(self, services: int) -> bool:
        record = json.loads(self.layout.record_file.read_text())
        started = [known["process_started"] for known in record["services"].values()]
        return len(started) == services and all(started)


def by_name(states: object) -> Mapping[str, ServiceState]:
    assert isinstance(states, list)
    return {state.service: state for state in states}


async def eventually(check: Callable[[], object], limit_s: float = 10.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + limit_s
    while not check():
        assert time.monotonic() < deadline, "did not come true in time"
        await asyncio.sleep(0.01)


def get(port: int, path: str = "/") -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
