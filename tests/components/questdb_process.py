"""A real QuestDB for tests, started through the component as the embedded target would."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from thedata_cli.component_api.embedded import Placement
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.components.questdb.component import QuestDBComponent
from thedata_cli.components.questdb.login import PASSWORD

START_LIMIT_S = 60


@dataclass(frozen=True)
class QuestDBServer:
    """A running server and where it is reached."""

    endpoint: Endpoint
    process: subprocess.Popen[bytes]
    log: Path


def cache_dir() -> Path:
    """Downloads are shared by all test runs of this user, as they are by his projects."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "thedata"


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def running_questdb(
    data_dir: Path, password: str = "pässword @:/%", *, ports: dict[str, int] | None = None
) -> Iterator[QuestDBServer]:
    """Run a server on free ports (or given ones) until the block ends; ready when the block begins."""
    component = QuestDBComponent()
    chosen = ports or dict(zip(component.ports, free_ports(len(component.ports)), strict=True))
    data_dir.mkdir(parents=True, exist_ok=True)
    placement = Placement(data_dir, data_dir, cache_dir(), data_dir, "127.0.0.1", chosen)
    described = component.embedded_process(placement, component.install(placement, lambda _: None))
    secrets = {PASSWORD: password}
    environment = {
        **os.environ,
        **described.environment,
        **{variable: secrets[name] for variable, name in described.secret_environment.items()},
    }
    log = data_dir / "questdb.log"
    with log.open("ab") as output:
        process = subprocess.Popen(described.command, env=environment, stdout=output, stderr=output)
    try:
        _wait_until_healthy(process, chosen[described.probe.port], described.probe.path, log)
        yield QuestDBServer(Endpoint("127.0.0.1", chosen, secrets), process, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=described.stop_timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.01)
    raise AssertionError(f"QuestDB did not start:\n{log.read_text(errors='replace')[-4000:]}")
