"""The worker as a process of its own, so that a test can kill it: `python -m tests.pipeline.worker_process FILE`.

FILE is JSON: the endpoint of each component (read anew for every connection), the routes, and after how many confirmed
writes the process sends itself a signal (0: never), which is the one moment that a test cannot hit from outside.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

from tests.pipeline import sqlite_store
from tests.pipeline.routes import route_to
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import Batch, CanWrite, LiveComponent, RejectedRow
from thedata_cli.component_api.routes import Route
from thedata_cli.pipeline.worker import run_worker
from thedata_cli.project.registry import component_class


class InterruptedStore:
    """A real store; the process gets a signal when that many writes are confirmed, and none is acknowledged."""

    def __init__(self, store: CanWrite, writes: int, number: int) -> None:
        self._store = store
        self._writes = writes
        self._signal = number

    @asynccontextmanager
    async def open_writer(self, route: Route) -> AsyncIterator[InterruptedStore]:
        async with self._store.open_writer(route) as self._writer:
            yield self

    async def highest_sequence(self) -> int:
        return await self._writer.highest_sequence()

    async def write(self, batch: Batch) -> Sequence[RejectedRow]:
        rejected = await self._writer.write(batch)
        self._writes -= 1
        if self._writes == 0:
            os.kill(os.getpid(), self._signal)
        return rejected


@asynccontextmanager
async def interrupted(
    connection: AbstractAsyncContextManager[LiveComponent], writes: int, number: int
) -> AsyncIterator[Any]:
    async with connection as live:
        yield InterruptedStore(live, writes, number) if writes and isinstance(live, CanWrite) else live


def connect_to(key: str, where: Any) -> AbstractAsyncContextManager[LiveComponent]:
    """Open a connection to a component under test."""
    if key == "sqlite":
        return cast("AbstractAsyncContextManager[LiveComponent]", sqlite_store.connect(Path(where)))
    connection = component_class(key)().connect(Endpoint(**where), "pipeline-tests")
    assert connection is not None
    return connection


def main(file: Path) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = json.loads(file.read_text())

    def connect(key: str) -> AbstractAsyncContextManager[LiveComponent]:
        connection = connect_to(key, json.loads(file.read_text())["endpoints"][key])
        return interrupted(connection, settings["signal_after"], settings["signal"])

    asyncio.run(
        run_worker(
            [route_to(**route) for route in settings["routes"]],
            [],
            connect,
            host="127.0.0.1",
            port=settings["port"],
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
