"""A project with nothing but ClickHouse, connected to a real server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.components.clickhouse.server_process import ClickHouseServer

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.declarations import AnyDeclared, Declared
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.components.clickhouse.component import PASSWORD, ClickHouseComponent
from thedata_cli.components.clickhouse.live import ClickHouseLive
from thedata_cli.components.clickhouse.tables import ClickHouseTable, ClickHouseView
from thedata_cli.errors import SourcePosition
from thedata_cli.plan.changes import Plan
from thedata_cli.plan.make_plan import make_plan
from thedata_cli.plan.resources import ResourceId


@dataclass(frozen=True)
class Document:
    """A file whose values all stand in lines of their own, numbered by their path."""

    file: Path

    def position(self, path: Sequence[str | int] = ()) -> SourcePosition:
        return SourcePosition(Path(f"{self.file}#{'.'.join(map(str, path))}"), 1, 1)


def table(name: str, **values: Any) -> AnyDeclared:
    model = ClickHouseTable.model_validate({"engine": "clickhouse", "name": name, **values})
    return Declared(model, Document(Path(f"tables/{name}.yaml")))


def view(name: str, query: str, **values: Any) -> AnyDeclared:
    model = ClickHouseView.model_validate(
        {"engine": "clickhouse", "kind": "view", "name": name, "query": query, **values}
    )
    return Declared(model, Document(Path(f"tables/{name}.yaml")))


@dataclass
class Stack:
    """The component, its connection, and what the project declares."""

    component: ClickHouseComponent
    live: ClickHouseLive
    project: str = "flights"
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    routes: Sequence[Route] = ()
    view_routes: Sequence[ViewRoute] = ()

    @property
    def database(self) -> str:
        return self.component.database

    def view(self, declared: Sequence[AnyDeclared]) -> ProjectView:
        return ProjectView(self.project, declared, self.contracts, self.routes, self.view_routes)

    async def plan(self, *declared: AnyDeclared, adopt: Collection[ResourceId] = ()) -> Plan:
        project = self.view(declared)
        assert list(self.component.problems(project)) == []
        desired = await self.live.normalise(self.component.resources(project))
        return make_plan(
            project=self.project,
            desired=desired,
            observed=await self.live.observe(),
            kinds=self.component.kinds,
            adopt=adopt,
        )

    async def apply(self, *declared: AnyDeclared, adopt: Collection[ResourceId] = ()) -> Plan:
        plan = await self.plan(*declared, adopt=adopt)
        plan.refuse_conflicts()
        for change in plan.changes:
            for step in change.steps:
                await self.live.execute(step)
        return plan

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async with self.live.query(sql) as result:
            return [tuple(row) async for block in result.blocks() for row in block]


@contextlib.asynccontextmanager
async def connected(
    server: ClickHouseServer, *, database: str, password: str = "", project: str = "flights"
) -> AsyncIterator[Stack]:
    component = ClickHouseComponent(database=database)
    endpoint = Endpoint(server.host, {"http": server.port}, {PASSWORD: password or server.password})
    async with component.connect(endpoint, project) as live:
        assert isinstance(live, ClickHouseLive)
        yield Stack(component, live, project)
