"""Services that a test can kill and start again at the same address, through the component as `thedata up` would."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Self

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
        ports = dict(zip(component.ports, _free_ports(len(component.ports)), strict=True))
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
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                described.command, env=os.environ | described.environment | secrets, stdout=log, stderr=log
            )
        self._wait_until_healthy(described.probe.port, described.probe.path)
        return self

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it in good order."""
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=30)

    def _wait_until_healthy(self, port: str, path: str) -> None:
        assert self._process
        url = f"http://127.0.0.1:{self.endpoint.ports[port]}{path}"
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(url, timeout=2) as response:
                    if response.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        raise AssertionError(f"{self._component.key} did not start:\n{(self._directory / 'log').read_text()[-3000:]}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
