"""The Materialize component: its ports, declarations and embedded process, which is an emulator."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

from thedata_cli.component_api.component import Component, ProjectView
from thedata_cli.component_api.embedded import EmbeddedProcess, HttpProbe, Installation, Placement, Progress
from thedata_cli.component_api.endpoints import Endpoint, SecretSpec
from thedata_cli.component_api.live import LiveComponent
from thedata_cli.component_api.sql_files import SqlDeclaration
from thedata_cli.components.materialize.desired import declaration_problems, desired_resources
from thedata_cli.components.materialize.emulator import EMULATED_VERSION
from thedata_cli.components.materialize.kinds import COMPONENT, KINDS
from thedata_cli.components.materialize.objects import MaterializeObject
from thedata_cli.components.materialize.webhook_sources import route_problems
from thedata_cli.errors import Problem
from thedata_cli.health import CheckResult
from thedata_cli.plan.changes import ResourceKind
from thedata_cli.plan.resources import Resource


class MaterializeComponent(Component):
    """Materialize, the streaming SQL engine; embedded, an emulator of it."""

    key: ClassVar[str] = COMPONENT
    summary: ClassVar[str] = "streaming SQL (emulator)"
    default_version: ClassVar[str] = f"{EMULATED_VERSION} (thedata emulator)"
    ports: ClassVar[Mapping[str, int]] = {"sql": 6875, "http": 6876}
    sql_files: ClassVar[Mapping[str, type[SqlDeclaration]]] = {"views": MaterializeObject}
    kinds: ClassVar[Sequence[ResourceKind]] = KINDS

    @property
    def wanted_version(self) -> str:
        """The version as the emulator reports it, where the project pins the one that it follows, or none."""
        return self.default_version if self.version in (None, EMULATED_VERSION) else str(self.version)

    def problems(self, project: ProjectView) -> Iterator[Problem]:
        """Yield names that are taken, objects that read each other in a circle, and sources that take no rows."""
        yield from declaration_problems(project)
        yield from route_problems(project.routes, project.declared, COMPONENT)

    def resources(self, project: ProjectView) -> Sequence[Resource]:
        """Return the clusters, secrets, sources, tables, views, materialized views and indexes."""
        return desired_resources(project)

    def secrets_for(self, project: ProjectView) -> Sequence[SecretSpec]:
        """Return the secrets that hold the values of those that the project declares."""
        values = {one.model.value: one.model.name for one in project.declared if one.model.value}
        return [SecretSpec(value, f"value of the secret {name} in Materialize") for value, name in values.items()]

    def install(self, placement: Placement, progress: Progress) -> Installation:  # noqa: ARG002
        """Find the packages of the emulator.

        Raises:
            MissingDependencyError: One is missing, or another version is pinned.
        """
        from thedata_cli.components.materialize.installation import find_installation

        return find_installation(self.version, EMULATED_VERSION)

    def embedded_process(self, placement: Placement, installation: Installation) -> EmbeddedProcess:  # noqa: ARG002
        """Return the emulator."""
        return EmbeddedProcess(
            command=(
                sys.executable, "-m", "thedata_cli.components.materialize.emulator",
                "--host", placement.host,
                "--sql-port", str(placement.ports["sql"]),
                "--http-port", str(placement.ports["http"]),
                "--data-dir", str(placement.data_dir),
            ),
            probe=HttpProbe("http", "/api/readyz"),
        )  # fmt: skip

    def check_machine(self) -> Sequence[CheckResult]:
        """Say whether the emulator can run here."""
        from thedata_cli.components.materialize.installation import machine_result

        return [machine_result(self.version, EMULATED_VERSION)]

    def client_environment(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Return one URL for PostgreSQL clients and one for webhooks."""
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        return {
            "MATERIALIZE_URL": f"postgresql://materialize@{host}:{endpoint.ports['sql']}/materialize",
            "MATERIALIZE_HTTP_URL": f"http://{host}:{endpoint.ports['http']}",
        }

    def connect(self, endpoint: Endpoint, project: str) -> AbstractAsyncContextManager[LiveComponent]:
        """Open a connection to the running server.

        Raises:
            ServiceUnreachableError: On entering, when it does not answer.
        """
        from thedata_cli.components.materialize.live import connect

        return connect(endpoint, project, wanted_version=self.wanted_version)
