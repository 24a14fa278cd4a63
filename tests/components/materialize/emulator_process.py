"""A real emulator process for tests, on free ports."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_LIMIT_S = 90.0
STOP_LIMIT_S = 20.0


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
    log = data_dir.with_name(data_dir.name + ".log")
    for _ in range(3):
        sql_port, http_port = _free_ports()
        command = [sys.executable, "-m", "thedata_cli.components.materialize.emulator", "--data-dir", str(data_dir)]
        command += ["--sql-port", str(sql_port), "--http-port", str(http_port)]
        with log.open("ab") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        if _is_ready(http_port, process):
            return Emulator("127.0.0.1", sql_port, http_port, process, log)
        stop_emulator(process)
    raise AssertionError(f"the emulator did not start:\n{log.read_text()}")


def stop_emulator(process: subprocess.Popen[bytes]) -> None:
    """Stop the process, by force when it does not obey."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


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


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return int(first.getsockname()[1]), int(second.getsockname()[1])


def _is_ready(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/api/readyz")
            if connection.getresponse().status == 200:
                return True
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    return False
