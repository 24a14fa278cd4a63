"""A real QuestDB for tests, started through the component as the embedded target would."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.server_process import Probe, free_ports, spawn, stop

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
        **described.environment,
        **{variable: secrets[name] for variable, name in described.secret_environment.items()},
    }
    log = data_dir / "questdb.log"
    process = spawn(described.command, log, environment)
    try:
        probe = Probe(described.probe.path, START_LIMIT_S)
        if not probe.finds_ready(process, chosen[described.probe.port]):
            raise AssertionError(f"QuestDB did not start:\n{log.read_text(errors='replace')[-4000:]}")
        yield QuestDBServer(Endpoint("127.0.0.1", chosen, secrets), process, log)
    finally:
        stop(process, described.stop_timeout_s)
