"""Components whose process is `fake_server.py`: real processes with chosen faults."""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from thedata_cli.component_api.component import Component
from thedata_cli.component_api.embedded import EmbeddedProcess, HttpProbe, Installation, Placement, Progress
from thedata_cli.component_api.endpoints import SecretSpec
from thedata_cli.errors import MissingDependencyError

OVERTAKERS: list[socket.socket] = []

SERVER = Path(__file__).with_name("fake_server.py")


class FakeComponent(Component):
    """What `fake` fills in."""

    summary: ClassVar[str] = "a process for tests"
    default_version: ClassVar[str] = "1.0"

    arguments: tuple[str, ...] = ()
    settings: str = ""
    stop_timeout_s: int = 5
    program: str = sys.executable
    missing: str = ""
    is_overtaken: bool = False
    """Somebody else takes its port after it was found free."""

    def install(self, placement: Placement, progress: Progress) -> Installation:
        if self.missing:
            raise MissingDependencyError(self.missing, hint="install it")
        if self.is_overtaken:
            listener = socket.create_server(("127.0.0.1", placement.ports["http"]))
            OVERTAKERS.append(listener)
        progress("looking for the fake")
        return Installation(self.wanted_version)

    def embedded_process(self, placement: Placement, installation: Installation) -> EmbeddedProcess:  # noqa: ARG002
        return EmbeddedProcess(
            command=(self.program, "-I", "-S", str(SERVER), "--port", str(placement.ports["http"]), *self.arguments),
            probe=HttpProbe("http", "/health"),
            files={"fake.conf": f"data = {placement.data_dir}\n{self.settings}\n"},
            secret_environment={f"FAKE_{spec.name.upper()}": spec.name for spec in self.secrets},
            stop_timeout_s=self.stop_timeout_s,
        )


def fake(
    name: str,
    *arguments: str,
    port: int = 0,
    depends_on: Sequence[str] = (),
    secret: str = "",
    **settings: Any,
) -> FakeComponent:
    """Return a component of its own class; its usual port is one that was free a moment ago."""
    attributes: dict[str, Any] = {
        "__module__": __name__,
        "__annotations__": {
            "key": "ClassVar[str]",
            "ports": "ClassVar[Mapping[str, int]]",
            "depends_on": "ClassVar[Sequence[str]]",
            "secrets": "ClassVar[Sequence[SecretSpec]]",
        },
        "key": name,
        "ports": {"http": port or free_port()},
        "depends_on": tuple(depends_on),
        "secrets": (SecretSpec(secret, "for tests"),) if secret else (),
    }
    made: type[FakeComponent] = type(f"Fake{name.title()}", (FakeComponent,), attributes)
    return made(arguments=arguments, **settings)


def free_port() -> int:
    """Return a free port below the range that the system hands out to clients, so that nobody takes it meanwhile."""
    while True:
        number = random.randint(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", number)) != 0:
                return number


def stack(*components: FakeComponent) -> Mapping[str, FakeComponent]:
    """Return components by name."""
    return {component.key: component for component in components}
