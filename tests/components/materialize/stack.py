"""A project with nothing but Materialize, connected to a real emulator."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.components.materialize.emulator_process import Emulator

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.components.materialize.component import MaterializeComponent
from thedata_cli.components.materialize.live import MaterializeLive
from thedata_cli.plan.changes import Plan, Step
from thedata_cli.plan.make_plan import make_plan
from thedata_cli.plan.resources import ResourceId
from thedata_cli.project.load import load_project

Views = Mapping[str, str]
"""File of `views/` without its ending → text."""


SECRETS = {"webhook_key": "it's \\ the key"}


def project(directory: Path, views: Views) -> ProjectView:
    """Write a project and load it as a user's is loaded."""
    shutil.rmtree(directory / "views", ignore_errors=True)
    (directory / "views").mkdir(parents=True)
    (directory / "thedata.yaml").write_text("name: flights\ncomponents:\n  materialize: {}\n")
    for name, text in views.items():
        (directory / "views" / f"{name}.sql").write_text(text)
    return load_project(directory).view("materialize")


@dataclass
class Stack:
    """The component, its connection, and where its project is."""

    component: MaterializeComponent
    live: MaterializeLive
    directory: Path

    async def plan(self, views: Views, *, adopt: Collection[ResourceId] = ()) -> Plan:
        desired = await self.live.normalise(self.component.resources(project(self.directory, views)))
        return make_plan(
            project="flights",
            desired=desired,
            observed=await self.live.observe(),
            kinds=self.component.kinds,
            adopt=adopt,
        )

    async def apply(self, views: Views, *, adopt: Collection[ResourceId] = ()) -> Plan:
        plan = await self.plan(views, adopt=adopt)
        plan.refuse_conflicts()
        for change in plan.changes:
            for step in change.steps:
                await self.live.execute(step)
        return plan

    async def run(self, sql: str) -> None:
        await self.live.execute(Step(sql))

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async with self.live.query(sql) as result:
            return [tuple(row) async for block in result.blocks() for row in block]

    async def clear(self) -> None:
        """Drop everything that a test may have made."""
        found = await self.live.observe()
        for kind in ("source", "secret", "table", "view", "materialized_view", "cluster"):
            keyword = kind.replace("_", " ").upper()
            for resource in found:
                if resource.id.kind == kind and resource.id.name != "quickstart":
                    await self.run(f'DROP {keyword} IF EXISTS "{resource.id.name}" CASCADE')


@contextlib.asynccontextmanager
async def connected(emulator: Emulator, directory: Path, secrets: Mapping[str, str] = SECRETS) -> AsyncIterator[Stack]:
    component = MaterializeComponent()
    endpoint = Endpoint(emulator.host, {"sql": emulator.sql_port, "http": emulator.http_port}, secrets)
    async with component.connect(endpoint, "flights") as live:
        assert isinstance(live, MaterializeLive)
        yield Stack(component, live, directory)
