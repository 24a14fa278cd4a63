"""The phases of the demo, each a few calls of what the other commands call too."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from thedata_cli.component_api.live import CanPublish, CanQuery, CanTail, ResultStream, StreamState
from thedata_cli.component_api.views import CanMirror
from thedata_cli.errors import MissingDependencyError, UnhealthyError
from thedata_cli.output.chart import parse_chart, print_chart, read_chart
from thedata_cli.output.console import Show
from thedata_cli.output.demo import Counts, DemoReport
from thedata_cli.output.plan import print_change
from thedata_cli.output.services import service_progress
from thedata_cli.output.table import print_table
from thedata_cli.pipeline.feeds import run_feed
from thedata_cli.pipeline.publishing import PublishCounts
from thedata_cli.plan.resources import ResourceId
from thedata_cli.project.blueprints import Blueprint, find_blueprint
from thedata_cli.project.files import PROJECT_FILE
from thedata_cli.project.load import load_project
from thedata_cli.project.model import FeedSettings, Project
from thedata_cli.project.queries import NamedQuery
from thedata_cli.project.scaffold import scaffold
from thedata_cli.stack.live_stack import LiveStack, connect
from thedata_cli.stack.resources import desired_resources
from thedata_cli.targets.choose import choose_target
from thedata_cli.targets.embedded.runtime import EmbeddedTarget

_START_LIMIT_S = 180.0
_STALL_LIMIT_S = 60.0
"""How long nothing may arrive in any table before the demo gives up."""
_POLL_S = 0.1


class Demo:
    """One run of the demo; phases are called in the order in which they stand here.

    Args:
        show: What to print with.
        blueprint: Name or path.
        directory: Of the project; made when it is not there.
        live_s: Seconds that feeds without an end run.
    """

    def __init__(self, show: Show, blueprint: str, directory: Path, *, live_s: float) -> None:
        self._live_s = live_s
        self._show = show
        self._blueprint: Blueprint = find_blueprint(blueprint)
        self._directory = directory
        self._seconds: dict[str, float] = {}
        self._published = 0
        self._loaded_rows = 0
        self._query_rows: dict[str, int] = {}
        self._counts: Sequence[Counts] = ()
        self._views: Sequence[Counts] = ()
        self._project: Project
        self._target: EmbeddedTarget

    def prepare(self) -> None:
        """Make the project, or go on with the one that is there.

        Raises:
            MissingDependencyError: A package that the feeds need is not installed.
        """
        _require_packages(self._blueprint)
        with self._phase("project"):
            if (self._directory / PROJECT_FILE).is_file():
                self._show.note(f"Going on with {self._directory}")
            else:
                name = re.sub(r"[^A-Za-z0-9_-]", "-", self._blueprint.name)
                scaffold(self._blueprint, self._directory, name=name, answers=self._blueprint.answers({}))
                self._show.note(f"Made {self._directory} from blueprint {self._blueprint.name}")
            self._project = load_project(self._directory)
            self._target = choose_target(self._project)

    async def start(self) -> None:
        """Start the stack and apply the project."""
        with self._phase("start"), service_progress(self._show) as on_event:
            await self._target.up(timeout_s=_START_LIMIT_S, on_event=on_event)
        with self._phase("apply"):
            async with self._connect() as live:
                plan = await live.plan(desired_resources(self._project))
                plan.refuse_conflicts()
                plan.refuse_data_loss(allowed=False)
                done = await live.apply(plan, lambda change: self._show.preview(change, human=print_change))
            if done.failure and done.failure.error:
                raise done.failure.error

    async def move_data(self) -> None:
        """Run every feed, and wait until every message is in every table and source, every view in its tables."""
        async with self._connect() as live:
            before = sum(sum(counts.rows.values()) for counts in await self._count(live))
            began = time.monotonic()
            with self._phase("publish"):
                for name, feed in self._project.feeds.items():
                    if not feed.endless:
                        await self._run_feed(live, name, feed)
                await self._run_endless_feeds(live)
            with self._phase("wait"):
                await self._wait(live)
                await self._wait_for_views(live)
            self._counts = await self._count(live)
            self._seconds["load"] = time.monotonic() - began
            self._loaded_rows = sum(sum(counts.rows.values()) for counts in self._counts) - before

    async def show_queries(self) -> None:
        """Run the queries that the blueprint shows, as charts where they are drawn as such."""
        with self._phase("queries"):
            async with self._connect() as live:
                for name in self._blueprint.manifest.shows:
                    query = self._project.queries[name]
                    async with live.with_ability(CanQuery, key=query.engine).query(query.sql) as result:
                        self._query_rows[name] = await self._show_query(query, result)

    async def _show_query(self, query: NamedQuery, result: ResultStream) -> int:
        """Print a result the way its query wants it, and return how many rows it has."""
        if self._show.is_json:
            return sum([len(rows) async for rows in result.blocks()])
        self._show.stdout.print(f"\n{query.description or query.name}", style="bold", markup=False)
        if not query.chart:
            return await print_table(result, self._show.stdout)
        chart = await read_chart(result, parse_chart(query.chart))
        print_chart(self._show.stdout, chart)
        return chart.rows

    async def stop(self) -> None:
        """Stop the stack; its data stays."""
        with self._phase("stop"), service_progress(self._show) as on_event:
            await self._target.down(on_event=on_event)

    def report(self, *, stays_up: bool) -> DemoReport:
        """Return what was reached."""
        return DemoReport(
            directory=self._directory,
            project=self._project.name,
            counts=self._counts,
            seconds=self._seconds,
            published=self._published,
            rows_per_s=self._loaded_rows / self._seconds["load"],
            stays_up=stays_up,
            query_rows=self._query_rows,
            views=self._views,
        )

    async def _run_feed(self, live: LiveStack, name: str, feed: FeedSettings) -> None:
        """Publish what a feed brings; a feed that has a stream to itself goes on where the stream ends."""
        states = {state.name: state for state in await live.with_ability(CanTail).streams()}
        has_own_stream = [other.stream for other in self._project.feeds.values()].count(feed.stream) == 1
        skip = states[feed.stream].last_sequence if has_own_stream else 0
        with self._show.progress(name, total=feed.messages) as advance:
            await self._publish(name, feed, live, states, skip=skip, told=lambda counts: advance(skip + counts.lines))

    async def _run_endless_feeds(self, live: LiveStack) -> None:
        """Publish for a while what feeds bring that never end, all at the same time."""
        feeds = {name: feed for name, feed in self._project.feeds.items() if feed.endless}
        if not feeds:
            return
        states = {state.name: state for state in await live.with_ability(CanTail).streams()}
        began = time.monotonic()
        with self._show.progress(f"seconds of {', '.join(feeds)}", total=self._live_s) as advance:

            def told(_counts: PublishCounts) -> None:
                advance(min(self._live_s, round(time.monotonic() - began, 1)))

            running = [
                self._publish(name, feed, live, states, limit_s=self._live_s, told=told) for name, feed in feeds.items()
            ]
            await asyncio.gather(*running)
            advance(self._live_s)

    async def _publish(
        self,
        name: str,
        feed: FeedSettings,
        live: LiveStack,
        states: Mapping[str, StreamState],
        *,
        told: Callable[[PublishCounts], None],
        skip: int = 0,
        limit_s: float | None = None,
    ) -> None:
        """Run one feed, and count what it has published."""
        counts = await run_feed(
            name,
            feed,
            self._directory,
            self._project.contracts.values(),
            live.with_ability(CanPublish),
            subject=feed.subject or states[feed.stream].subjects[0],
            skip=skip,
            limit_s=limit_s,
            on_progress=told,
        )
        self._published += counts.published

    async def _wait_for_views(self, live: LiveStack) -> None:
        """Wait until every table that is kept equal to a view is.

        Raises:
            UnhealthyError: One is not, for too long; the message says which.
        """
        began = time.monotonic()
        while True:
            self._views = await self._count_views(live)
            if all(counts.agrees for counts in self._views):
                return
            if time.monotonic() - began > _STALL_LIMIT_S:
                late = ", ".join(counts.name for counts in self._views if not counts.agrees)
                raise UnhealthyError(f"tables do not follow their views: {late}", hint="thedata doctor")
            await asyncio.sleep(_POLL_S)

    async def _count_views(self, live: LiveStack) -> Sequence[Counts]:
        """Count the rows of every view that a pipeline reads, and of the tables that are kept equal to it."""
        tables: dict[ResourceId, list[ResourceId]] = {}
        for route in self._project.view_routes:
            tables.setdefault(route.view, []).append(route.table)
        found = []
        for view, mirrors in tables.items():
            rows = await _count_rows(live, view)
            counted = {
                table.component: await live.with_ability(CanMirror, key=table.component).mirrored_rows(table.name)
                for table in mirrors
            }
            found.append(Counts(view.name, rows, counted))
        return found

    async def _wait(self, live: LiveStack) -> None:
        """Wait until the pipelines have nothing left to do, and the engines show all of it.

        Raises:
            UnhealthyError: Nothing moves any more; the message says what is missing.
        """
        total = sum(counts.total * len(counts.rows) for counts in await self._count(live))
        last, moved_at = -1, time.monotonic()
        with self._show.progress("rows in engines", total=total) as advance:
            while True:
                counts = await self._count(live)
                done = sum(sum(stream.rows.values()) for stream in counts)
                advance(done)
                if all(stream.agrees for stream in counts):
                    return
                if done != last:
                    last, moved_at = done, time.monotonic()
                elif time.monotonic() - moved_at > _STALL_LIMIT_S:
                    raise UnhealthyError(
                        f"nothing arrived for {_STALL_LIMIT_S:.0f} s: {_missing(counts)}", hint="thedata doctor"
                    )
                await asyncio.sleep(_POLL_S)

    async def _count(self, live: LiveStack) -> Sequence[Counts]:
        """Count messages and rows of every stream that a pipeline reads."""
        by_name = {state.name: state for state in await live.with_ability(CanTail).streams()}
        tables = {route.target: route.stream.name for route in self._project.routes}
        counted = await asyncio.gather(*(_count_rows(live, table) for table in tables))
        rows: dict[str, dict[str, int]] = {}
        for (table, stream), count in zip(tables.items(), counted, strict=True):
            by_engine = rows.setdefault(stream, {})
            by_engine[table.component] = by_engine.get(table.component, 0) + count
        return [Counts(name, by_name[name].messages, found) for name, found in rows.items()]

    def _connect(self) -> contextlib.AbstractAsyncContextManager[LiveStack]:
        return connect(self._project.name, self._project.components, self._target.endpoints())

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = time.monotonic() - began


async def _count_rows(live: LiveStack, table: ResourceId) -> int:
    engine = live.with_ability(CanQuery, key=table.component)
    async with engine.query(f'SELECT count(*) FROM "{table.name}"') as result:
        return sum([int(row[0]) async for rows in result.blocks() for row in rows])


def _missing(counts: Sequence[Counts]) -> str:
    found = [
        f"{engine} has {rows:,} of the {stream.total:,} messages of {stream.name}"
        for stream in counts
        for engine, rows in stream.rows.items()
        if rows != stream.total
    ]
    return ", ".join(found)


def _require_packages(blueprint: Blueprint) -> None:
    missing = [
        requirement
        for requirement in blueprint.manifest.requires
        if not _is_installed(re.split(r"[^A-Za-z0-9._-]", requirement)[0])
    ]
    if missing:
        raise MissingDependencyError(
            f"blueprint {blueprint.name!r} needs {', '.join(missing)}", hint=f"pip install {' '.join(missing)}"
        )


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
