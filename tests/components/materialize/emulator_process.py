"""A real emulator process for tests, on free ports."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.server_process import Probe, start_on_free_ports, stop

STOP_LIMIT_S = 20.0
READY = Probe("/api/readyz", within_s=90.0)


@dataclass(frozen=True)
class Emulator:
    """How to reach the emulator, and its process."""

    host: str
    sql_port: int
    http_port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def conninfo(self) -> str:
        return f"host={self.host} port={self.sql_port} user=materialize dbname=materialize"

    @property
    def http_url(self) -> str:
        return f"http://{self.host}:{self.http_port}"

    def webhook_url(self, name: str, schema: str = "public") -> str:
        return f"{self.http_url}/api/webhook/materialize/{schema}/{name}"


def start_emulator(data_dir: Path) -> Emulator:
    """Start the process and wait until it is ready."""

    def command_on(ports: Sequence[int]) -> list[str]:
        command = [sys.executable, "-m", "thedata_cli.components.materialize.emulator", "--data-dir", str(data_dir)]
        return [*command, "--sql-port", str(ports[0]), "--http-port", str(ports[1])]

    log = data_dir.with_name(data_dir.name + ".log")
    process, (sql_port, http_port) = start_on_free_ports(2, command_on, READY, log, stop_within_s=STOP_LIMIT_S)
    return Emulator("127.0.0.1", sql_port, http_port, process, log)


def stop_emulator(process: subprocess.Popen[bytes]) -> None:
    """Stop the process, by force when it does not obey."""
    stop(process, STOP_LIMIT_S)


@contextlib.contextmanager
def running_emulator(data_dir: Path) -> Iterator[Emulator]:
    """Run the emulator on free ports of 127.0.0.1 for the time of the block."""
    emulator = start_emulator(data_dir)
    try:
        yield emulator
    finally:
        stop_emulator(emulator.process)


def send(emulator: Emulator, source: str, body: str) -> None:
    """Send one body to a webhook source."""
    request = urllib.request.Request(emulator.webhook_url(source), body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
