"""Projects, contracts, rows, and short ways to apply and ask, for the tests of QuestDB."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.contracts import Contract, ContractField, FieldType
from thedata_cli.component_api.declarations import Declared
from thedata_cli.component_api.live import Batch
from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.components.questdb.component import QuestDBComponent
from thedata_cli.components.questdb.ledger import LEDGER
from thedata_cli.components.questdb.live import QuestDBLive
from thedata_cli.components.questdb.sql_text import identifier
from thedata_cli.components.questdb.tables import QuestDBMaterializedView, QuestDBTable
from thedata_cli.errors import SourcePosition
from thedata_cli.plan.changes import Plan, Step
from thedata_cli.plan.make_plan import make_plan
from thedata_cli.plan.resources import ResourceId

COMPONENT = QuestDBComponent()

DEPARTURES = Contract(
    "departures",
    "flights.departures.>",
    (
        ContractField("scheduled_at", FieldType.TIMESTAMP),
        ContractField("carrier", FieldType.STRING, is_symbol=True),
        ContractField("flight", FieldType.INT32),
        ContractField("delay_minutes", FieldType.INT16, is_nullable=True),
        ContractField("details", FieldType.JSON, is_required=False),
    ),
    event_time="scheduled_at",
    key=("carrier", "flight"),
)


@dataclass(frozen=True)
class File:
    """A project file whose values all stand at the line that is the length of their path."""

    file: Path

    def position(self, path: Sequence[str | int] = ()) -> SourcePosition:
        return SourcePosition(self.file, len(path) + 1, 1)


def table(name: str = "departures", **attributes: Any) -> QuestDBTable:
    return QuestDBTable.model_validate({"engine": "questdb", "name": name, **attributes})


def view(name: str, base: str, query: str, **attributes: Any) -> QuestDBMaterializedView:
    return QuestDBMaterializedView.model_validate(
        {"engine": "questdb", "kind": "materialized_view", "name": name, "base": base, "query": query, **attributes}
    )


def route(contract: Contract = DEPARTURES, name: str = "departures") -> Route:
    return Route(
        pipeline=name,
        stream=ResourceId("nats", "stream", "departures"),
        subject="",
        contract=contract,
        target=ResourceId("questdb", "table", name),
        dead_letter_stream="dead-letters",
        max_batch=500,
        max_wait_s=0.2,
    )


def project(
    *declared: QuestDBTable | QuestDBMaterializedView,
    contracts: Sequence[Contract] = (DEPARTURES,),
    routes: Sequence[Route] = (),
    view_routes: Sequence[ViewRoute] = (),
    name: str = "flights",
) -> ProjectView:
    return ProjectView(
        name,
        [Declared(one, File(Path(f"tables/{one.name}.yaml"))) for one in declared],
        {contract.name: contract for contract in contracts},
        routes,
        view_routes,
    )


def problems(view: ProjectView) -> list[str]:
    return [f"{problem.path}: {problem.message}; {problem.expected}" for problem in COMPONENT.problems(view)]


async def plan_of(live: QuestDBLive, view: ProjectView, *, adopt: Collection[ResourceId] = ()) -> Plan:
    desired = await live.normalise(COMPONENT.resources(view))
    return make_plan(
        project=view.name, desired=desired, observed=await live.observe(), kinds=COMPONENT.kinds, adopt=adopt
    )


async def apply(live: QuestDBLive, view: ProjectView, *, adopt: Collection[ResourceId] = ()) -> Plan:
    """Apply a project and return the plan that was carried out."""
    plan = await plan_of(live, view, adopt=adopt)
    plan.refuse_conflicts()
    for change in plan.changes:
        for step in change.steps:
            await live.execute(step)
    return plan


async def run(live: QuestDBLive, sql: str) -> list[tuple[Any, ...]]:
    """Run one statement and return its rows."""
    async with live.query(sql) as result:
        return [tuple(row) async for block in result.blocks() for row in block]


async def settled(live: QuestDBLive, name: str) -> None:
    """Wait until queries see all that was written."""
    await run(live, f"SELECT wait_wal_table('{name}')")


async def count(live: QuestDBLive, name: str) -> int:
    await settled(live, name)
    return int((await run(live, f"SELECT count() FROM {identifier(name)}"))[0][0])


async def drop_everything(live: QuestDBLive) -> None:
    found = await live.observe()
    for kind, words in (("materialized_view", "MATERIALIZED VIEW"), ("table", "TABLE")):
        for resource in found:
            if resource.id.kind == kind:
                await live.execute(Step(f"DROP {words} {identifier(resource.id.name)}"))
    await live.execute(Step(f"DROP TABLE IF EXISTS {identifier(LEDGER)}"))


def rows(contract: Contract, *values: Mapping[str, Any], first: int = 1) -> list[Any]:
    """Decode messages, numbered from `first`."""
    import msgspec

    decoded = []
    for number, message in enumerate(values, first):
        row = contract.decoder.decode(msgspec.json.encode(message))
        row.sequence = number
        decoded.append(row)
    return decoded


def departures(first: int, last: int, **changed: Any) -> list[Any]:
    """Departures numbered from `first` to `last`, a minute apart."""
    return rows(
        DEPARTURES,
        *(
            {
                "scheduled_at": f"2013-01-{1 + number // 1440:02}T{number // 60 % 24:02}:{number % 60:02}:00Z",
                "carrier": ("UA", "AA", "B6")[number % 3],
                "flight": number,
                "delay_minutes": None if number % 7 == 0 else number % 100 - 20,
            }
            | changed
            for number in range(first, last + 1)
        ),
        first=first,
    )


def batch(rows: Sequence[Any], contract: Contract = DEPARTURES, *, may_be_present: Sequence[int] = ()) -> Batch:
    return Batch(contract, rows, may_be_present)


async def eventually(condition: Any, limit_s: float = 30) -> None:
    """Wait until a coroutine function returns something true."""
    async with asyncio.timeout(limit_s):
        while not await condition():
            await asyncio.sleep(0.02)
