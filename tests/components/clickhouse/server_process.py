"""A real server process for tests: chDB behind ClickHouse's HTTP interface on a free port."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.server_process import Probe, start_on_free_ports, stop

STOP_LIMIT_S = 10.0
# Its first answer must be this one.
READY = Probe("/ping", within_s=30.0, judge=lambda answer: answer.read() == b"Ok.\n")


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

    def command_on(ports: Sequence[int]) -> list[str]:
        command = [sys.executable, "-m", "thedata_cli.components.clickhouse.server", "--port", str(ports[0])]
        return [*command, "--data-dir", str(data_dir), "--user", user, "--database", database, *arguments]

    log = data_dir.with_name(data_dir.name + ".log")
    environment = {"CLICKHOUSE_PASSWORD": password}
    process, (port,) = start_on_free_ports(
        1, command_on, READY, log, stop_within_s=STOP_LIMIT_S, environment=environment
    )
    return ClickHouseServer("127.0.0.1", port, user, password, database, process, log)


def stop_clickhouse(process: subprocess.Popen[bytes]) -> None:
    """Stop the process, by force when it does not obey."""
    stop(process, STOP_LIMIT_S)


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
