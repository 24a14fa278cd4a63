"""Services that a test can kill and start again at the same address, through the component as `thedata up` would."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Self

from tests.server_process import Probe, free_ports, spawn, stop
from thedata_cli.component_api.component import Component
from thedata_cli.component_api.embedded import Placement
from thedata_cli.component_api.endpoints import Endpoint

START_LIMIT_S = 60


class Service:
    """One embedded process of a component, on free ports of its own."""

    def __init__(self, component: Component, directory: Path) -> None:
        self._component = component
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        ports = dict(zip(component.ports, free_ports(len(component.ports)), strict=True))
        secrets = {spec.name: "pässword @:/%" for spec in component.secrets}
        self.endpoint = Endpoint("127.0.0.1", ports, secrets)
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "thedata"
        self._placement = Placement(directory / "data", directory / "config", cache, directory, "127.0.0.1", ports)

    def start(self) -> Self:
        """Start it and wait until it is healthy."""
        placement = self._placement
        described = self._component.embedded_process(placement, self._component.install(placement, lambda _: None))
        placement.data_dir.mkdir(parents=True, exist_ok=True)
        placement.config_dir.mkdir(parents=True, exist_ok=True)
        for name, text in described.files.items():
            (placement.config_dir / name).write_text(text)
        secrets = {name: self.endpoint.secrets[secret] for name, secret in described.secret_environment.items()}
        self._process = spawn(described.command, self._directory / "log", {**described.environment, **secrets})
        probe = Probe(described.probe.path, START_LIMIT_S)
        if not probe.finds_ready(self._process, self.endpoint.ports[described.probe.port]):
            log = (self._directory / "log").read_text()
            raise AssertionError(f"{self._component.key} did not start:\n{log[-3000:]}")
        return self

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it in good order."""
        if self._process:
            stop(self._process, 30)
