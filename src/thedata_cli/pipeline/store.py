"""The store side of a route: writes a batch until the store has confirmed it, and never writes a row twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from thedata_cli.component_api.live import Batch, CanWrite, RejectedRow, TableWriter
from thedata_cli.component_api.routes import Route
from thedata_cli.errors import TheDataError
from thedata_cli.pipeline.abilities import Connect, require
from thedata_cli.pipeline.backoff import Backoff
from thedata_cli.pipeline.deliveries import HeldBatch
from thedata_cli.pipeline.progress import RouteProgress, RouteState


@dataclass
class HighestSequence:
    """The highest sequence that may be in the table already; outlives connections.

    A message at or below it may be one that was written and whose acknowledgement was lost, even when the broker
    calls it a first delivery: a broker that is killed forgets its latest deliveries.
    """

    value: int = 0

    def raise_to(self, sequence: int) -> None:
        """Note that this sequence may be in the table."""
        self.value = max(self.value, sequence)


class Store:
    """An open table of a route. Use as an async context manager; connects when the first batch comes."""

    def __init__(
        self, route: Route, connect: Connect, progress: RouteProgress, backoff: Backoff, highest: HighestSequence
    ) -> None:
        self._route = route
        self._connect = connect
        self._progress = progress
        self._backoff = backoff
        self._highest = highest
        self._open = AsyncExitStack()
        self._writer: TableWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close()

    async def write(self, held: HeldBatch, rows: Mapping[int, Any]) -> Sequence[RejectedRow] | None:
        """Write rows by sequence, trying again for as long as it takes.

        Returns:
            The rows that the store does not accept; None when the worker is to stop and the rows are not written.
        """
        redelivered = {one.message.sequence for one in held.deliveries if one.deliveries > 1}
        is_first_attempt = True
        while True:
            try:
                writer = self._writer or await self._connected()
                doubtful = [
                    sequence
                    for sequence in rows
                    if not is_first_attempt
                    or held.is_doubtful
                    or sequence <= self._highest.value
                    or sequence in redelivered
                ]
                rejected = await writer.write(Batch(self._route.contract, list(rows.values()), doubtful))
            except TheDataError as error:
                self._progress.failed(RouteState.RETRYING, self._route.target.component, error)
                await self._close()
            else:
                self._highest.raise_to(max(rows))
                return rejected
            is_first_attempt = False
            if not await self._backoff.wait():
                return None

    async def _connected(self) -> TableWriter:
        key = self._route.target.component
        live = require(await self._open.enter_async_context(self._connect(key)), key, CanWrite)
        writer = await self._open.enter_async_context(live.open_writer(self._route))
        self._highest.raise_to(await writer.highest_sequence())
        self._writer = writer
        return writer

    async def _close(self) -> None:
        self._writer = None
        await self._open.aclose()
