"""The ClickHouse component: its settings, ports, secrets, declarations and embedded process."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, ClassVar
from urllib.parse import quote

from pydantic import Field

from thedata_cli.component_api.component import Component, ProjectView
from thedata_cli.component_api.declarations import Declaration, Name
from thedata_cli.component_api.embedded import EmbeddedProcess, HttpProbe, Installation, Placement, Progress
from thedata_cli.component_api.endpoints import Endpoint, SecretSpec
from thedata_cli.component_api.live import LiveComponent
from thedata_cli.component_api.units import ByteCount
from thedata_cli.components.clickhouse.desired import declaration_problems, desired_resources
from thedata_cli.components.clickhouse.kinds import COMPONENT, KINDS
from thedata_cli.components.clickhouse.tables import ClickHouseTable, ClickHouseView
from thedata_cli.errors import Problem
from thedata_cli.health import CheckResult
from thedata_cli.plan.changes import ResourceKind
from thedata_cli.plan.resources import Resource

USER = "thedata"
PASSWORD = "clickhouse_password"


class ClickHouseComponent(Component):
    """ClickHouse, the analytics store."""

    key: ClassVar[str] = COMPONENT
    summary: ClassVar[str] = "analytics store"
    default_version: ClassVar[str] = "26.9.2.1"
    ports: ClassVar[Mapping[str, int]] = {"http": 8123}
    secrets: ClassVar[Sequence[SecretSpec]] = (SecretSpec(PASSWORD, f"password of the ClickHouse user `{USER}`"),)
    declarations: ClassVar[Mapping[str, Sequence[type[Declaration]]]] = {"tables": (ClickHouseTable, ClickHouseView)}
    kinds: ClassVar[Sequence[ResourceKind]] = KINDS

    database: Name = "default"
    """Database of the project's tables; created where it does not exist."""

    max_memory: Annotated[ByteCount, Field(ge=256 * 2**20)] | None = None
    """Bytes that the embedded engine may use; by default a quarter of the machine's memory."""

    def problems(self, project: ProjectView) -> Iterator[Problem]:
        """Yield unknown contracts and engines, duplicate names, and tables that a pipeline cannot feed."""
        yield from declaration_problems(project, self.database)

    def resources(self, project: ProjectView) -> Sequence[Resource]:
        """Return the database, the tables and the views."""
        return desired_resources(project, self.database)

    def install(self, placement: Placement, progress: Progress) -> Installation:  # noqa: ARG002
        """Find chDB.

        Raises:
            MissingDependencyError: It is missing, or not in the pinned version.
        """
        from thedata_cli.components.clickhouse.installation import find_installation

        return find_installation(self.version, self.default_version)

    def embedded_process(self, placement: Placement, installation: Installation) -> EmbeddedProcess:  # noqa: ARG002
        """Return chDB behind ClickHouse's HTTP interface."""
        memory = ("--max-memory-bytes", str(self.max_memory)) if self.max_memory else ()
        return EmbeddedProcess(
            command=(
                sys.executable, "-m", "thedata_cli.components.clickhouse.server",
                "--host", placement.host,
                "--port", str(placement.ports["http"]),
                "--data-dir", str(placement.data_dir),
                "--user", USER,
                "--database", self.database,
                *memory,
            ),
            probe=HttpProbe("http", "/ping"),
            secret_environment={"CLICKHOUSE_PASSWORD": PASSWORD},
        )  # fmt: skip

    def check_machine(self) -> Sequence[CheckResult]:
        """Say whether chDB is there, and in which version."""
        from thedata_cli.components.clickhouse.installation import machine_result

        return [machine_result(self.version, self.default_version)]

    def client_environment(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Return one URL, and its parts under the names that ClickHouse's own clients read."""
        password = endpoint.secrets.get(PASSWORD, "")
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        port = endpoint.ports["http"]
        return {
            "CLICKHOUSE_URL": f"http://{USER}:{quote(password, safe='')}@{host}:{port}/{quote(self.database, safe='')}",
            "CLICKHOUSE_HOST": endpoint.host,
            "CLICKHOUSE_PORT": str(port),
            "CLICKHOUSE_USER": USER,
            "CLICKHOUSE_PASSWORD": password,
            "CLICKHOUSE_DATABASE": self.database,
        }

    def connect(self, endpoint: Endpoint, project: str) -> AbstractAsyncContextManager[LiveComponent]:
        """Open a connection to the running server.

        Raises:
            ServiceUnreachableError: On entering, when it does not answer or refuses the password.
        """
        from thedata_cli.components.clickhouse.live import connect

        return connect(
            endpoint, project, user=USER, secret=PASSWORD, database=self.database, wanted_version=self.wanted_version
        )
