"""The QuestDB component: its settings, ports, secrets and embedded process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, ClassVar
from urllib.parse import quote

from pydantic import Field

from thedata_cli.component_api.component import Component, ProjectView
from thedata_cli.component_api.declarations import Declaration
from thedata_cli.component_api.embedded import EmbeddedProcess, HttpProbe, Installation, Placement, Progress
from thedata_cli.component_api.endpoints import Endpoint, SecretSpec
from thedata_cli.component_api.live import LiveComponent
from thedata_cli.component_api.units import ByteCount
from thedata_cli.components.questdb.java_start import common_environment, listening_environment, server_command
from thedata_cli.components.questdb.kinds import MaterializedViewKind, TableKind
from thedata_cli.components.questdb.login import PASSWORD, USER
from thedata_cli.components.questdb.tables import (
    QuestDBMaterializedView,
    QuestDBTable,
    feed_of,
    table_resource,
    view_resource,
)
from thedata_cli.errors import Problem
from thedata_cli.health import CheckResult
from thedata_cli.plan.changes import ResourceKind
from thedata_cli.plan.resources import Resource


class QuestDBComponent(Component):
    """QuestDB, the time-series store."""

    key: ClassVar[str] = "questdb"
    summary: ClassVar[str] = "time-series store"
    default_version: ClassVar[str] = "9.3.4"
    ports: ClassVar[Mapping[str, int]] = {"http": 9000, "postgres": 8812, "health": 9003}
    secrets: ClassVar[Sequence[SecretSpec]] = (SecretSpec(PASSWORD, f"password of the QuestDB user `{USER}`"),)
    declarations: ClassVar[Mapping[str, Sequence[type[Declaration]]]] = {
        "tables": (QuestDBTable, QuestDBMaterializedView)
    }
    kinds: ClassVar[Sequence[ResourceKind]] = (TableKind(), MaterializedViewKind())

    max_heap: ByteCount = 512 * 2**20
    """Limit of the Java heap. Tables and queries use memory outside it, so that it can stay small."""

    worker_threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Threads shared by network, queries and applying of writes."""

    jar_sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None
    """SHA-256 of the Maven artifact org.questdb:questdb; needed for a `version` that thedata does not know."""

    def problems(self, project: ProjectView) -> Iterator[Problem]:
        """Yield mistakes in tables and views that a single model cannot see."""
        from thedata_cli.components.questdb.validation import find_problems

        return find_problems(project)

    def resources(self, project: ProjectView) -> Sequence[Resource]:
        """Return the declared tables, then the materialized views."""
        tables = {}
        for declared in project.declared:
            if isinstance(declared.model, QuestDBTable):
                contract = project.contracts[declared.model.contract] if declared.model.contract else None
                feed = feed_of(declared.model, project)
                tables[declared.model.name] = table_resource(declared, contract, feed, project=project.name)
        views = [
            view_resource(declared, tables.get(declared.model.base), project=project.name)
            for declared in project.declared
            if isinstance(declared.model, QuestDBMaterializedView)
        ]
        return [*tables.values(), *views]

    def install(self, placement: Placement, progress: Progress) -> Installation:
        """Find Java; find or fetch the jar."""
        from thedata_cli.components.questdb.installation import install

        return install(self.wanted_version, self.jar_sha256, placement.cache_dir, progress)

    def embedded_process(self, placement: Placement, installation: Installation) -> EmbeddedProcess:
        """Return the server, listening on `placement.host` only."""
        options = [f"-Xmx{self.max_heap // 2**20}m"]
        if archive := installation.paths.get("class_archive"):
            options.append(f"-XX:AOTCache={archive}")
        console = installation.paths.get("console")
        return EmbeddedProcess(
            command=server_command(
                installation.paths["java"], installation.paths["jar"], placement.data_dir, options=options
            ),
            environment={
                **common_environment(self.worker_threads),
                **({"QDB_HTTP_STATIC_PUBLIC_DIRECTORY": str(console)} if console else {}),
                **listening_environment(
                    placement.host,
                    http=placement.ports["http"],
                    postgres=placement.ports["postgres"],
                    health=placement.ports["health"],
                ),
            },
            secret_environment={"QDB_HTTP_PASSWORD": PASSWORD, "QDB_PG_PASSWORD": PASSWORD},
            probe=HttpProbe("health", "/status"),
        )

    def check_machine(self) -> Sequence[CheckResult]:
        """Return whether Java, the jar's digest and the limits of this machine are as the server needs them."""
        from thedata_cli.components.questdb.machine import check_machine

        return check_machine(self.wanted_version, self.jar_sha256)

    def web_address(self, host: str, ports: Mapping[str, int]) -> str:
        """Return the address of the web console."""
        return f"http://{host}:{ports['http']}"

    def client_environment(self, endpoint: Endpoint) -> Mapping[str, str]:
        """Return one URL for PostgreSQL clients and one for HTTP clients."""
        login = f"{USER}:{quote(endpoint.secrets[PASSWORD], safe='')}@{endpoint.host}"
        return {
            "QUESTDB_PG_URL": f"postgresql://{login}:{endpoint.ports['postgres']}/qdb",
            "QUESTDB_HTTP_URL": f"http://{login}:{endpoint.ports['http']}",
        }

    def connect(self, endpoint: Endpoint, project: str) -> AbstractAsyncContextManager[LiveComponent]:  # noqa: ARG002
        """Open a connection to the running server."""
        from thedata_cli.components.questdb.live import connect

        return connect(endpoint, wanted_version=self.wanted_version)
