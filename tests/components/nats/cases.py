"""Projects, routes and short ways to apply them, for the tests of NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.declarations import Declared
from thedata_cli.component_api.live import StreamMessage, TailStart
from thedata_cli.component_api.routes import Route
from thedata_cli.components.nats.component import NatsComponent
from thedata_cli.components.nats.live import NatsLive
from thedata_cli.components.nats.streams import Stream
from thedata_cli.errors import SourcePosition
from thedata_cli.plan.changes import Plan, Step
from thedata_cli.plan.make_plan import make_plan
from thedata_cli.plan.resources import ResourceId

COMPONENT = NatsComponent()
FROM_THE_FIRST = TailStart(sequence=1)


@dataclass(frozen=True)
class File:
    """A project file whose values all stand at the line that is the length of their path."""

    file: Path

    def position(self, path: Sequence[str | int] = ()) -> SourcePosition:
        return SourcePosition(self.file, len(path) + 1, 1)


def stream(name: str = "departures", **attributes: Any) -> Stream:
    return Stream.model_validate({"name": name, "subjects": [f"{name}.>"], **attributes})


def route(
    stream: str = "departures",
    subject: str = "",
    *,
    pipeline: str = "departures",
    dead_letters: str = "dead-letters",
    ack_wait_s: float = 30.0,
) -> Route:
    return Route(
        pipeline=pipeline,
        stream=ResourceId("nats", "stream", stream),
        subject=subject,
        contract=Contract(stream, f"{stream}.>", ()),
        target=ResourceId("questdb", "table", "departures"),
        dead_letter_stream=dead_letters,
        max_batch=500,
        max_wait_s=0.2,
        position=SourcePosition(Path(f"pipelines/{pipeline}.yaml"), 1, 1),
        ack_wait_s=ack_wait_s,
    )


def project(*streams: Stream, routes: Sequence[Route] = (), name: str = "flights") -> ProjectView:
    declared = [Declared(one, File(Path(f"streams/{one.name}.yaml"))) for one in streams]
    return ProjectView(name, declared, {}, routes)


async def plan_of(live: NatsLive, view: ProjectView, *, adopt: Collection[ResourceId] = ()) -> Plan:
    desired = await live.normalise(COMPONENT.resources(view))
    return make_plan(
        project=view.name, desired=desired, observed=await live.observe(), kinds=COMPONENT.kinds, adopt=adopt
    )


async def apply(live: NatsLive, view: ProjectView, *, adopt: Collection[ResourceId] = ()) -> Plan:
    """Apply a project and return the plan that was carried out."""
    plan = await plan_of(live, view, adopt=adopt)
    plan.refuse_conflicts()
    for change in plan.changes:
        for step in change.steps:
            await live.execute(step)
    return plan


async def read(
    live: NatsLive, stream: str, count: int, start: TailStart = FROM_THE_FIRST, subject: str = ""
) -> list[StreamMessage]:
    """Tail a stream until `count` messages have come."""
    messages: list[StreamMessage] = []
    async with aclosing(live.tail(stream, start, subject=subject)) as tail, asyncio.timeout(30):
        async for message in tail:
            messages.append(message)
            if len(messages) == count:
                break
    return messages


async def delete_streams(live: NatsLive) -> None:
    for state in await live.streams():
        await live.execute(Step(f"$JS.API.STREAM.DELETE.{state.name}"))


async def until_a_consumer_waits(live: NatsLive) -> None:
    """Wait until somebody tails."""
    async with asyncio.timeout(10):
        while not any(state.consumers for state in await live.streams()):
            await asyncio.sleep(0)
