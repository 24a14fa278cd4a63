"""From a component to the process that runs it: placement, rendered files, fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thedata_cli.component_api.component import Component
from thedata_cli.component_api.embedded import EmbeddedProcess, Installation, Placement, Progress
from thedata_cli.errors import MissingDependencyError
from thedata_cli.targets.embedded.layout import Layout, explained_file_errors, write_text
from thedata_cli.targets.embedded.probes import ProbeTarget
from thedata_cli.targets.embedded.supervisor.process_spec import ProcessSpec


@dataclass(frozen=True)
class PreparedService:
    """A service that is ready to be started.

    Attributes:
        secrets: Variable → value; kept out of `repr`, files and logs.
        probe: Its health check.
    """

    spec: ProcessSpec
    secrets: Mapping[str, str]
    probe: ProbeTarget

    def __repr__(self) -> str:
        return f"PreparedService({self.spec.service!r})"


@dataclass(frozen=True)
class Preparation:
    """Prepares the services of one project."""

    layout: Layout
    components: Mapping[str, Component]
    secrets: Mapping[str, str]
    environment: str
    revisions: Mapping[str, str]
    host: str
    cache_dir: Path

    def prepare(self, service: str, ports: Mapping[str, int], progress: Progress) -> PreparedService:
        """Install what is missing, and write the service's files.

        Raises:
            MissingDependencyError: A program, package or secret is not there.
            TheDataError: A file cannot be written.
        """
        component = self.components[service]
        placement = self._placement(service, ports)
        with explained_file_errors(placement.data_dir):
            for directory in (placement.data_dir, placement.config_dir, placement.cache_dir):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        installation = component.install(placement, progress)
        process = component.embedded_process(placement, installation)
        with explained_file_errors(placement.config_dir):
            for name, text in process.files.items():
                write_text(placement.config_dir / name, text)
        return PreparedService(
            spec=self._spec(component, placement, process, installation),
            secrets={variable: self._secret(name) for variable, name in process.secret_environment.items()},
            probe=probe_target(self.host, placement.ports, process),
        )

    def _placement(self, service: str, ports: Mapping[str, int]) -> Placement:
        return Placement(
            data_dir=self.layout.data_dir(service),
            config_dir=self.layout.config_dir(service),
            cache_dir=self.cache_dir,
            project_dir=self.layout.project_dir,
            host=self.host,
            ports=ports,
            environment=self.environment,
        )

    def _spec(
        self, component: Component, placement: Placement, process: EmbeddedProcess, installation: Installation
    ) -> ProcessSpec:
        probe = probe_target(self.host, placement.ports, process)
        facts: dict[str, Any] = {
            "version": installation.version,
            "host": self.host,
            "ports": dict(placement.ports),
            "probe": {"host": probe.host, "port": probe.port, "path": probe.path, "status": probe.status},
            "depends_on": [other for other in component.depends_on if other in self.components],
        }
        return ProcessSpec(
            service=component.key,
            fingerprint=fingerprint(
                process, installation.version, placement.ports, self.revisions.get(component.key, "")
            ),
            command=process.command,
            environment=dict(process.environment),
            working_dir=str(self.layout.project_dir),
            log_file=str(self.layout.log_file(component.key)),
            stop_signal=process.stop_signal,
            stop_timeout_s=process.stop_timeout_s,
            facts=facts,
        )

    def _secret(self, name: str) -> str:
        if name not in self.secrets:
            raise MissingDependencyError(f"the secret {name} is missing", hint=f"put it into secrets/{name}")
        return self.secrets[name]


def fingerprint(process: EmbeddedProcess, version: str, ports: Mapping[str, int], revision: str = "") -> str:
    """Return what differs when a running process must be replaced; secrets are compared elsewhere, and not kept.

    Example:
        >>> from thedata_cli.component_api.embedded import HttpProbe
        >>> one = EmbeddedProcess(("/bin/x",), HttpProbe("http", "/"))
        >>> other = EmbeddedProcess(("/bin/x",), HttpProbe("http", "/health"))
        >>> fingerprint(one, "1.0", {}) == fingerprint(other, "1.0", {}), fingerprint(one, "1.1", {}) == fingerprint(
        ...     one, "1.0", {}
        ... )
        (True, False)
    """
    parts = [process.command, dict(process.environment), dict(process.files), version, dict(ports), revision]
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


def probe_target(host: str, ports: Mapping[str, int], process: EmbeddedProcess) -> ProbeTarget:
    """Return the address of a process's health check."""
    return ProbeTarget(host, ports[process.probe.port], process.probe.path, process.probe.status)


def user_cache_dir() -> Path:
    """Return where downloads are kept for all projects of this user."""
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base if base else Path.home() / ".cache") / "thedata"
