"""The sink: keeps the table of one route equal to its view.

It holds no progress of its own. Each connection begins with the view as it is, which the writer turns into whatever the
table lacks or has too much; after that it gets the changes, whole times only. So whatever dies at any moment, the next
connection makes the table right, and no reader sees a state that the view never had.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from thedata_cli.component_api.routes import ViewRoute
from thedata_cli.component_api.views import CanMirror, CanSubscribe, MirrorWriter, ViewChanges
from thedata_cli.pipeline.abilities import Connect, require
from thedata_cli.pipeline.backoff import Backoff
from thedata_cli.pipeline.progress import RouteProgress, RouteState
from thedata_cli.pipeline.waiting import cancel, stops_within


class Sink:
    """Runs one route from a view until the worker is to stop, whatever goes down meanwhile."""

    def __init__(self, route: ViewRoute, connect: Connect, progress: RouteProgress, stopping: asyncio.Event) -> None:
        self._route = route
        self._connect = connect
        self._progress = progress
        self._stopping = stopping
        self._backoff = Backoff(stopping)
        self._asked = (RouteState.WAITING, route.view.component)
        """What a failure is to be blamed on: what was asked last."""

    async def run(self) -> None:
        """Connect, follow the view, and connect again after a failure."""
        while not self._stopping.is_set():
            try:
                await self._follow()
            except Exception as error:
                # Even an unknown error holds up this route only.
                self._progress.failed(*self._asked, error)
            await self._backoff.wait()
        self._progress.stopped()

    async def _follow(self) -> None:
        """Write the view and then its changes; a store that is down is found before the view is asked for its rows."""
        view, table = self._route.view, self._route.table
        self._asked = (RouteState.RETRYING, table.component)
        async with self._connect(table.component) as store:
            mirrors = require(store, table.component, CanMirror)
            self._asked = (RouteState.WAITING, view.component)
            async with (
                self._connect(view.component) as server,
                require(server, view.component, CanSubscribe).subscribe(view.name, key=self._route.key) as subscription,
            ):
                self._asked = (RouteState.RETRYING, table.component)
                async with mirrors.open_mirror(self._route, subscription.columns) as writer:
                    await self._write_all(subscription.changes(), writer)

    async def _write_all(self, subscription: AsyncIterator[ViewChanges], writer: MirrorWriter) -> None:
        """Write what comes; what comes while one write is under way, or right after it, is one write."""
        self._asked = (RouteState.WAITING, self._route.view.component)
        while changes := await self._next(subscription):
            self._progress.running()
            if not changes.changes and not changes.is_snapshot:
                self._progress.caught_up()
                continue
            began = time.monotonic()
            self._asked = (RouteState.RETRYING, self._route.table.component)
            await writer.write(changes)
            self._asked = (RouteState.WAITING, self._route.view.component)
            self._backoff.reset()
            newest = datetime.fromtimestamp(changes.until / 1000, UTC)
            self._progress.written(rows=len(changes.changes), dead_letters=0, newest=newest)
            await stops_within(self._stopping, max(0.0, began + self._route.max_wait_s - time.monotonic()))

    async def _next(self, subscription: AsyncIterator[ViewChanges]) -> ViewChanges | None:
        """Wait for changes; None when the worker is to stop."""
        coming = asyncio.ensure_future(anext(subscription))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({coming, stop}, return_when=asyncio.FIRST_COMPLETED)
            return coming.result() if coming.done() and not self._stopping.is_set() else None
        finally:
            await cancel(stop, coming)
