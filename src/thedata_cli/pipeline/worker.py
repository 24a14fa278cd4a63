"""The worker: every route of a project in one process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator, Sequence

from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.pipeline.abilities import Connect
from thedata_cli.pipeline.health import health_server
from thedata_cli.pipeline.loader import Loader
from thedata_cli.pipeline.progress import RouteProgress
from thedata_cli.pipeline.sink import Sink

log = logging.getLogger("thedata.worker")

_STOP_LIMIT_S = 10.0
"""Seconds that the batches in hand get to be stored and acknowledged; the broker delivers the rest again."""


async def run_worker(
    routes: Sequence[Route], view_routes: Sequence[ViewRoute], connect: Connect, *, host: str, port: int
) -> None:
    """Run all routes until SIGTERM or SIGINT.

    It starts whatever is down or missing: each route waits for its own services, streams and tables, and says so.

    Args:
        routes: Every route from a stream; without any, and view routes, the worker only answers on its port.
        view_routes: Every route from a view.
        connect: Opens a connection to the component of that key.
        host: Address of the health port.
        port: Number of the health port.

    Raises:
        ServiceStartError: The health port is taken.
    """
    stopping = asyncio.Event()
    progress = [*map(RouteProgress, routes), *map(RouteProgress, view_routes)]
    with _stop_on_signals(stopping):
        async with health_server(progress, host=host, port=port) as bound_port:
            log.info("worker: %d routes, health on http://%s:%d/healthz", len(progress), host, bound_port)
            running = [
                asyncio.create_task(_mover(state, connect, stopping).run(), name=state.route.name) for state in progress
            ]
            await stopping.wait()
            await _finish(running)
    log.info("worker: stopped")


def _mover(progress: RouteProgress, connect: Connect, stopping: asyncio.Event) -> Loader | Sink:
    if isinstance(progress.route, ViewRoute):
        return Sink(progress.route, connect, progress, stopping)
    return Loader(progress.route, connect, progress, stopping)


async def _finish(running: Sequence[asyncio.Task[None]]) -> None:
    """Let the routes finish their batches, within the limit."""
    if not running:
        return
    _, late = await asyncio.wait(running, timeout=_STOP_LIMIT_S)
    for route in late:
        log.warning("%s: stopped with a batch in hand; it comes again", route.get_name())
        route.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@contextlib.contextmanager
def _stop_on_signals(stopping: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
