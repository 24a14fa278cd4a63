"""Streaming SQL through the whole platform: the flights project, from the broker to views and tables.

Refill: all departures from the stream into a source that was made anew, until views are right and tables follow.
Latency: 1,000 events a second published to the broker, and when each shows in a view and in the tables that follow it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from benchmarks._timing import figure
from thedata_cli.component_api.live import CanPublish, CanQuery, OutgoingMessage
from thedata_cli.component_api.views import CanSubscribe
from thedata_cli.project.load import load_project
from thedata_cli.project.model import Project
from thedata_cli.stack.live_stack import LiveStack, connect
from thedata_cli.targets.choose import choose_target

REFILL_RUNS = 3
EVENTS = 336_776
PROMISED_REFILL_S = 30.0
EVENTS_PER_S, BURSTS_PER_S, LIVE_S = 1_000, 50, 20
POLL_S = 0.05
CARRIER = "ZZ"
KEY = ("hour", "carrier", "origin")
PROMISED_MS = {"view": 500.0, "table of QuestDB": 1000.0, "table of ClickHouse": 1000.0}
TABLES = {
    "table of QuestDB": (
        "questdb", f"SELECT sum(departures) FROM recent_delays WHERE carrier = '{CARRIER}' AND NOT _deleted",
    ),
    "table of ClickHouse": (
        "clickhouse", f"SELECT sum(departures) FROM recent_delays FINAL WHERE carrier = '{CARRIER}'",
    ),
}  # fmt: skip
"""Where an event shows → engine and question."""


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        project_dir = Path(directory) / "flights"
        _thedata("demo", "--keep", "--dir", str(project_dir), cwd=Path(directory))
        try:
            refill_s = statistics.median(_refill(project_dir) for _ in range(REFILL_RUNS))
            latencies = asyncio.run(_live(load_project(project_dir)))
        finally:
            _thedata("down", cwd=project_dir)
    figures = [
        figure("refill of 336,776 departures, views and tables right", "s", refill_s, "promise", PROMISED_REFILL_S)
    ]
    for where, promised_ms in PROMISED_MS.items():
        for name, percent in (("p50", 50), ("p99", 99)):
            value = statistics.quantiles(latencies[where], n=100)[percent - 1] * 1000
            title = f"event to {where}, {name} at 1,000 events/s"
            figures.append(figure(title, "ms", value, "promise (p99)", promised_ms))
    print(json.dumps(figures))


def _thedata(*arguments: str, cwd: Path) -> None:
    subprocess.run([sys.executable, "-m", "thedata_cli", *arguments], cwd=cwd, check=True, stdout=sys.stderr)


def _refill(project_dir: Path) -> float:
    """Take Materialize's data away, as an upgrade of its server would, and return the seconds until all is back."""
    _thedata("down", cwd=project_dir)
    shutil.rmtree(project_dir / ".thedata" / "data" / "materialize")
    _thedata("up", "--no-apply", cwd=project_dir)
    began = time.monotonic()
    _thedata("apply", "--yes", cwd=project_dir)
    asyncio.run(_until_all_is_right(load_project(project_dir)))
    return time.monotonic() - began


async def _until_all_is_right(project: Project) -> None:
    async with _connected(project) as live:
        in_view = "SELECT sum(departures) FROM weather_delays"
        while await _sum(live, "materialize", "SELECT sum(departures) FROM delays_by_hour") != EVENTS:
            await asyncio.sleep(0.05)
        while await _sum(live, "clickhouse", f"{in_view} FINAL") != await _sum(live, "materialize", in_view):
            await asyncio.sleep(0.05)


async def _live(project: Project) -> dict[str, list[float]]:
    """Publish at the rate, and return the seconds from each event's publishing to where it shows."""
    published: list[float] = []
    async with _connected(project) as live:
        watching = {"view": asyncio.create_task(_watch_view(live, published))}
        for where, (engine, sql) in TABLES.items():
            watching[where] = asyncio.create_task(_watch_table(live, engine, sql, published))
        await _publish(live.with_ability(CanPublish), published)
        return {where: await watcher for where, watcher in watching.items()}


async def _publish(broker: CanPublish, published: list[float]) -> None:
    size = EVENTS_PER_S // BURSTS_PER_S
    began = time.perf_counter()
    for burst in range(LIVE_S * BURSTS_PER_S):
        await asyncio.sleep(max(0.0, began + burst / BURSTS_PER_S - time.perf_counter()))
        numbers = range(burst * size + 1, burst * size + size + 1)
        published += [time.perf_counter()] * size
        await broker.publish([OutgoingMessage("flights.departures.JFK", _departure(number)) for number in numbers])


def _departure(number: int) -> bytes:
    """Return a departure of the newest hour of an airline that does not exist."""
    return json.dumps({
        "scheduled_at": "2013-12-31T23:59:00-05:00", "carrier": CARRIER, "flight": number, "origin": "JFK",
        "destination": "BQN", "tail_number": "N516JB", "departed_at": None, "departure_delay_minutes": None,
        "arrival_delay_minutes": None, "air_time_minutes": None, "distance_miles": 1576,
    }).encode()  # fmt: skip


async def _watch_view(live: LiveStack, published: Sequence[float]) -> list[float]:
    """Follow the view, as anybody would who wants to know at once, and note for each event how long it took."""
    seconds: list[float] = []
    async with live.with_ability(CanSubscribe).subscribe("recent_delays", key=KEY, has_snapshot=False) as following:
        names = [column.name for column in following.columns]
        async for changes in following.changes():
            for values in [change.values for change in changes.changes if change.diff > 0]:
                row = dict(zip(names, values, strict=True))
                if row["carrier"] == CARRIER:
                    _note(seconds, row["departures"], published)
            if len(seconds) == EVENTS_PER_S * LIVE_S:
                break
    return seconds


async def _watch_table(live: LiveStack, engine: str, sql: str, published: Sequence[float]) -> list[float]:
    """Ask again and again how many events show, and note for each how long it took."""
    seconds: list[float] = []
    while len(seconds) < EVENTS_PER_S * LIVE_S:
        _note(seconds, await _sum(live, engine, sql), published)
        await asyncio.sleep(POLL_S)
    return seconds


def _note(seconds: list[float], shown: int, published: Sequence[float]) -> None:
    now = time.perf_counter()
    seconds += [now - published[number] for number in range(len(seconds), shown)]


def _connected(project: Project) -> AbstractAsyncContextManager[LiveStack]:
    return connect(project.name, project.components, choose_target(project).endpoints())


async def _sum(live: LiveStack, engine: str, sql: str) -> int:
    async with live.with_ability(CanQuery, key=engine).query(sql) as result:
        (total,) = [row[0] async for rows in result.blocks() for row in rows]
        return int(total or 0)


if __name__ == "__main__":
    main()
