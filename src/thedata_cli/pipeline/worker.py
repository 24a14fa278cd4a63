"""The worker: every route of a project in one process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator, Sequence

from thedata_cli.component_api.routes import Route
from thedata_cli.pipeline.abilities import Connect
from thedata_cli.pipeline.health import health_server
from thedata_cli.pipeline.loader import Loader
from thedata_cli.pipeline.progress import RouteProgress

log = logging.getLogger("thedata.worker")

_STOP_LIMIT_S = 10.0
"""Seconds that the batches in hand get to be stored and acknowledged; the broker delivers the rest again."""


async def run_worker(routes: Sequence[Route], connect: Connect, *, host: str, port: int) -> None:
    """Run all routes until SIGTERM or SIGINT.

    It starts whatever is down or missing: each route waits for its own services, streams and tables, and says so.

    Args:
        routes: Every route of the project; without any the worker only answers on its port.
        connect: Opens a connection to the component of that key.
        host: Address of the health port.
        port: Number of the health port.

    Raises:
        ServiceStartError: The health port is taken.
    """
    stopping = asyncio.Event()
    progress = [RouteProgress(route) for route in routes]
    with _stop_on_signals(stopping):
        async with health_server(progress, host=host, port=port) as bound_port:
            log.info("worker: %d routes, health on http://%s:%d/healthz", len(routes), host, bound_port)
            loaders = [
                asyncio.create_task(Loader(route, connect, state, stopping).run(), name=route.consumer)
                for route, state in zip(routes, progress, strict=True)
            ]
            await stopping.wait()
            await _finish(loaders)
    log.info("worker: stopped")


async def _finish(loaders: Sequence[asyncio.Task[None]]) -> None:
    """Let the loaders finish their batches, within the limit."""
    if not loaders:
        return
    _, late = await asyncio.wait(loaders, timeout=_STOP_LIMIT_S)
    for loader in late:
        log.warning("%s: stopped with a batch in hand; it is delivered again", loader.get_name())
        loader.cancel()
    await asyncio.gather(*loaders, return_exceptions=True)


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
