"""`thedata up` on this machine, warm: what it costs on top of the services themselves.

The peer is the slowest service alone: its own process, started by hand and asked for its health without a pause.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from thedata_cli.component_api.component import Component
from thedata_cli.component_api.embedded import EmbeddedProcess, HttpProbe, Installation, Placement, Progress
from thedata_cli.components.clickhouse.component import ClickHouseComponent
from thedata_cli.components.nats.component import NatsComponent
from thedata_cli.components.questdb.component import QuestDBComponent
from thedata_cli.targets.embedded.layout import Layout
from thedata_cli.targets.embedded.preparation import Preparation, PreparedService, user_cache_dir
from thedata_cli.targets.embedded.probes import ask
from thedata_cli.targets.embedded.runtime import EmbeddedTarget

RUNS = 5
PORTS = range(20_000, 32_000)

_SERVER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    connection.close()
"""


class Trivial(Component):
    """Healthy as soon as an interpreter has started."""

    summary: ClassVar[str] = "a process that does nothing"
    default_version: ClassVar[str] = "1"

    def install(self, placement: Placement, progress: Progress) -> Installation:  # noqa: ARG002
        """Nothing to install."""
        return Installation("1")

    def embedded_process(self, placement: Placement, installation: Installation) -> EmbeddedProcess:  # noqa: ARG002
        """Return an interpreter with a server in one line."""
        command = (sys.executable, "-I", "-S", "-c", _SERVER, str(placement.ports["http"]))
        return EmbeddedProcess(command, HttpProbe("http", "/"))


class TrivialOne(Trivial):
    """The first."""

    key: ClassVar[str] = "one"
    ports: ClassVar[Mapping[str, int]] = {"http": 18_000}


class TrivialTwo(Trivial):
    """The second."""

    key: ClassVar[str] = "two"
    ports: ClassVar[Mapping[str, int]] = {"http": 18_001}


class TrivialThree(Trivial):
    """The third."""

    key: ClassVar[str] = "three"
    ports: ClassVar[Mapping[str, int]] = {"http": 18_002}


def main() -> None:
    figures = measure("trivial services", [TrivialOne(), TrivialTwo(), TrivialThree()])
    figures += measure("engines", [NatsComponent(), QuestDBComponent(), ClickHouseComponent()])
    print(json.dumps(figures))


def measure(name: str, components: list[Component]) -> list[dict[str, object]]:
    stack = {component.key: component for component in components}
    values = {spec.name: secrets.token_urlsafe(24) for component in components for spec in component.secrets}
    with tempfile.TemporaryDirectory() as directory:
        target = EmbeddedTarget(Path(directory), "bench", stack, values)
        asyncio.run(up_and_down(target))
        alone: dict[str, list[float]] = {service: [] for service in stack}
        together, again = [], []
        for _ in range(RUNS):
            for service in stack:
                alone[service].append(seconds_alone(service, stack, values, Path(directory)))
            first_s, second_s = asyncio.run(up_and_down(target))
            together.append(first_s)
            again.append(second_s)
    medians = {service: statistics.median(runs) for service, runs in alone.items()}
    slowest = max(medians, key=lambda service: medians[service])
    return [
        figure(f"up of 3 {name}", statistics.median(together), f"{slowest} alone", medians[slowest]),
        figure(f"second up of 3 {name}", statistics.median(again), f"{slowest} alone", medians[slowest]),
    ]


def figure(name: str, value_s: float, peer: str, peer_s: float) -> dict[str, object]:
    return {
        "name": name,
        "unit": "ms",
        "value": round(value_s * 1000, 1),
        "peer": peer,
        "peer_value": round(peer_s * 1000, 1),
        "ratio": round(value_s / peer_s, 3),
    }


async def up_and_down(target: EmbeddedTarget) -> tuple[float, float]:
    """Return the seconds of an `up` from nothing, and of one that finds everything as wanted."""
    began = time.perf_counter()
    await target.up(on_event=lambda _: None)
    first_s = time.perf_counter() - began
    began = time.perf_counter()
    await target.up(on_event=lambda _: None)
    second_s = time.perf_counter() - began
    await target.down(on_event=lambda _: None)
    return first_s, second_s


def seconds_alone(service: str, stack: Mapping[str, Component], values: Mapping[str, str], directory: Path) -> float:
    """Start the service's process over the data that the stack has, and wait until it is healthy."""
    preparation = Preparation(
        layout=Layout(directory),
        components=stack,
        secrets=values,
        environment="",
        revisions={},
        host="127.0.0.1",
        cache_dir=user_cache_dir(),
    )
    prepared = preparation.prepare(service, {name: free_port() for name in stack[service].ports}, lambda _: None)
    began = time.perf_counter()
    with subprocess.Popen(
        prepared.spec.command,
        env={**os.environ, **prepared.spec.environment, **prepared.secrets},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        asyncio.run(until_healthy(prepared))
        seconds = time.perf_counter() - began
        process.terminate()
    return seconds


async def until_healthy(prepared: PreparedService) -> None:
    while await ask(prepared.probe):
        await asyncio.sleep(0.002)


def free_port() -> int:
    while True:
        number = random.choice(PORTS)
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", number)) != 0:
                return number


if __name__ == "__main__":
    main()
