"""A real NATS server for tests, started with what the component itself would run."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from thedata_cli.component_api.embedded import Placement
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.components.nats.component import PASSWORD_SECRET, NatsComponent

START_LIMIT_S = 20.0


@dataclass
class NatsServer:
    """A running server; `endpoint` is what a component connects to."""

    endpoint: Endpoint
    process: subprocess.Popen[bytes]
    component: NatsComponent
    placement: Placement

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(START_LIMIT_S)

    def start(self, *, password: str = "") -> None:
        """Start it again on the same ports and data."""
        secrets = {PASSWORD_SECRET: password} if password else self.endpoint.secrets
        self.process = _start(self.component, self.placement, secrets)
        _wait_until_healthy(self.process, self.placement)


@contextmanager
def running_nats(
    data_dir: Path, password: str = '7 it\'s "$ecret" \\ # é', component: NatsComponent | None = None
) -> Iterator[NatsServer]:
    """Run a server on free ports until the block ends."""
    component = component or NatsComponent()
    data_dir.mkdir(parents=True, exist_ok=True)
    ports = _free_ports(component.ports)
    placement = Placement(
        data_dir=data_dir / "data",
        config_dir=data_dir,
        cache_dir=data_dir,
        project_dir=data_dir,
        host="127.0.0.1",
        ports=ports,
    )
    endpoint = Endpoint("127.0.0.1", ports, {PASSWORD_SECRET: password})
    server = NatsServer(endpoint, _start(component, placement, endpoint.secrets), component, placement)
    try:
        _wait_until_healthy(server.process, placement)
        yield server
    finally:
        server.kill()


def _free_ports(names: Mapping[str, int]) -> dict[str, int]:
    sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
    try:
        return {name: held.getsockname()[1] for name, held in sockets.items()}
    finally:
        for held in sockets.values():
            held.close()


def _start(component: NatsComponent, placement: Placement, secrets: Mapping[str, str]) -> subprocess.Popen[bytes]:
    embedded = component.embedded_process(placement, component.install(placement, lambda _: None))
    for name, text in embedded.files.items():
        (placement.config_dir / name).write_text(text)
    environment = {**os.environ, **embedded.environment}
    environment |= {variable: secrets[secret] for variable, secret in embedded.secret_environment.items()}
    with (placement.config_dir / "nats-server.log").open("ab") as log:
        return subprocess.Popen(embedded.command, env=environment, stdout=log, stderr=log)


def _wait_until_healthy(process: subprocess.Popen[bytes], placement: Placement) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection(placement.host, placement.ports["monitor"], timeout=1)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            # Nothing listens yet; the pause keeps the loop from taking the CPU that the server needs.
            time.sleep(0.01)
        finally:
            connection.close()
    raise AssertionError((placement.config_dir / "nats-server.log").read_text())
