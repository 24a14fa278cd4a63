"""Tables that are kept equal to a view: what such a view tells, and cases that hold for every store."""

from __future__ import annotations

import asyncio
import datetime
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from thedata_cli.component_api.live import ResultColumn
from thedata_cli.component_api.routes import ViewRoute
from thedata_cli.component_api.views import MirrorWriter, ViewChange, ViewChanges
from thedata_cli.errors import ServiceUnreachableError
from thedata_cli.plan.resources import ResourceId

START = datetime.datetime(2013, 1, 1, tzinfo=datetime.UTC)
NAMES = ("hour", "carrier", "departures", "late")


def route_to(engine: str, *key: str) -> ViewRoute:
    view, target = ResourceId("materialize", "view", "delays"), ResourceId(engine, "table", "delays")
    return ViewRoute("delays", view, key, target, 0.1)


def columns(*names: str) -> list[ResultColumn]:
    return [ResultColumn(name, "text") for name in names]


def row(number: int, departures: int, late: int | None = None) -> tuple[Any, ...]:
    return START + datetime.timedelta(hours=number // 3), ("UA", "AA", "B6")[number % 3], departures, late


def snapshot(until: int, *rows: tuple[Any, ...]) -> ViewChanges:
    return ViewChanges(until, [ViewChange(values, 1) for values in rows], is_snapshot=True)


def changes(until: int, *upserts: tuple[Any, ...], gone: Sequence[tuple[Any, ...]] = ()) -> ViewChanges:
    told = [ViewChange(values, 1) for values in upserts] + [ViewChange(values, -1) for values in gone]
    return ViewChanges(until, told)


async def assert_readers_see_whole_changes(
    writer: MirrorWriter, totals: Callable[[], Awaitable[list[tuple[Any, ...]]]]
) -> None:
    """Every row of a change has its number; a reader that sees two numbers has seen half of one.

    Args:
        writer: Where the changes go.
        totals: Reads the least and the greatest number, how many rows there are, and the sum of departures.
    """
    seen: set[tuple[Any, ...]] = set()
    is_over = False

    async def read() -> None:
        while not is_over:
            found = await totals()
            low, high, count, total = found[0]
            assert (low, total) == (high, (low or 0) * count), found
            seen.add((low, count))

    await writer.write(snapshot(1_000, *(row(number, 0, 0) for number in range(5_000))))
    reading = [asyncio.create_task(read()) for _ in range(2)]
    for version in range(1, 20):
        gone = 5_000 if version % 2 else 3_000
        written = [row(number, version, version) for number in range(8_000 - gone)]
        if version % 3:
            await writer.write(changes(version, *written, gone=[row(n, 0) for n in range(8_000 - gone, 8_000)]))
        else:
            await writer.write(snapshot(version, *written))
    is_over = True
    await asyncio.gather(*reading)
    assert len(seen) > 5, seen
    assert {count for _, count in seen} == {3_000, 5_000}, seen


async def kill_while_it_writes(
    writer: MirrorWriter, told: ViewChanges, process: subprocess.Popen[bytes], delay_s: float
) -> None:
    """Kill the server some time after a write has begun; the write may have been in time."""
    writing = asyncio.ensure_future(writer.write(told))
    await asyncio.wait([writing], timeout=delay_s)
    process.kill()
    process.wait()
    (found,) = await asyncio.gather(writing, return_exceptions=True)
    assert isinstance(found, ServiceUnreachableError | None), found
