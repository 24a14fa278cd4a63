"""A real NATS server for tests, started with what the component itself would run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.server_process import Probe, free_ports, spawn, stop

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
        stop(self.process, START_LIMIT_S)

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
    ports = dict(zip(component.ports, free_ports(len(component.ports)), strict=True))
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


def _start(component: NatsComponent, placement: Placement, secrets: Mapping[str, str]) -> subprocess.Popen[bytes]:
    embedded = component.embedded_process(placement, component.install(placement, lambda _: None))
    for name, text in embedded.files.items():
        (placement.config_dir / name).write_text(text)
    environment = {variable: secrets[secret] for variable, secret in embedded.secret_environment.items()}
    log = placement.config_dir / "nats-server.log"
    return spawn(embedded.command, log, {**embedded.environment, **environment})


def _wait_until_healthy(process: subprocess.Popen[bytes], placement: Placement) -> None:
    if not Probe("/healthz", START_LIMIT_S).finds_ready(process, placement.ports["monitor"]):
        raise AssertionError((placement.config_dir / "nats-server.log").read_text())
