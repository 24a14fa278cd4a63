"""A real server process for tests: chDB behind ClickHouse's HTTP interface on a free port."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

START_LIMIT_S = 30.0
STOP_LIMIT_S = 10.0


@dataclass(frozen=True)
class ClickHouseServer:
    """How to reach the server, and its process."""

    host: str
    port: int
    user: str
    password: str
    database: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def start_clickhouse(
    data_dir: Path,
    *,
    user: str = "thedata",
    password: str = "s3cret",
    database: str = "default",
    arguments: Sequence[str] = (),
) -> ClickHouseServer:
    """Start the process and wait until /ping answers."""
    log = data_dir.with_name(data_dir.name + ".log")
    for _ in range(3):
        port = _free_port()
        command = [sys.executable, "-m", "thedata_cli.components.clickhouse.server", "--port", str(port)]
        command += ["--data-dir", str(data_dir), "--user", user, "--database", database, *arguments]
        with log.open("ab") as output:
            process = subprocess.Popen(
                command, env=os.environ | {"CLICKHOUSE_PASSWORD": password}, stdout=output, stderr=output
            )
        if _answers_ping(port, process):
            return ClickHouseServer("127.0.0.1", port, user, password, database, process, log)
        stop_clickhouse(process)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


def stop_clickhouse(process: subprocess.Popen[bytes]) -> None:
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
def running_clickhouse(
    data_dir: Path,
    user: str = "thedata",
    password: str = "s3cret",
    database: str = "default",
    arguments: Sequence[str] = (),
) -> Iterator[ClickHouseServer]:
    """Run the real server on a free port of 127.0.0.1 for the time of the block."""
    server = start_clickhouse(data_dir, user=user, password=password, database=database, arguments=arguments)
    try:
        yield server
    finally:
        stop_clickhouse(server.process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers_ping(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().read() == b"Ok.\n"
        except OSError:
            time.sleep(0.02)
        finally:
            connection.close()
    return False
