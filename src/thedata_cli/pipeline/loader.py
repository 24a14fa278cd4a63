"""The loader: brings the messages of one route into its table.

Effectively once, from these parts: a message is acknowledged only after the table has confirmed its row (or the
dead-letter stream its dead letter), so a crash at any moment makes the broker deliver it again; and every message that
may have been written before is named to the writer, which leaves out what is already there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from thedata_cli.component_api.live import CanConsume, CanPublish, OutgoingMessage
from thedata_cli.component_api.routes import Route
from thedata_cli.errors import ServiceUnreachableError, TheDataError
from thedata_cli.pipeline.abilities import Connect, require
from thedata_cli.pipeline.backoff import Backoff
from thedata_cli.pipeline.dead_letters import dead_letter
from thedata_cli.pipeline.deliveries import HeldBatch, HeldDeliveries
from thedata_cli.pipeline.progress import RouteProgress, RouteState
from thedata_cli.pipeline.store import HighestSequence, Store
from thedata_cli.pipeline.waiting import cancel

_STOP_GRACE_S = 1.0
"""Seconds that a fetch under way gets to return once the worker is to stop."""


class Loader:
    """Runs one route until the worker is to stop, whatever goes down meanwhile."""

    def __init__(self, route: Route, connect: Connect, progress: RouteProgress, stopping: asyncio.Event) -> None:
        self._route = route
        self._connect = connect
        self._progress = progress
        self._stopping = stopping
        self._backoff = Backoff(stopping)
        self._highest = HighestSequence()

    async def run(self) -> None:
        """Connect, transfer, and connect again after a failure."""
        component = self._route.stream.component
        while not self._stopping.is_set():
            try:
                await self._transfer()
            except Exception as error:
                # Even an unknown error holds up this route only.
                self._progress.failed(RouteState.WAITING, component, error)
            await self._backoff.wait()
        self._progress.stopped()

    async def _transfer(self) -> None:
        """Transfer batches over one connection to the broker; the next is fetched while one is written."""
        key = self._route.stream.component
        async with (
            self._connect(key) as broker,
            require(broker, key, CanConsume).consume(self._route) as consumption,
            Store(self._route, self._connect, self._progress, self._backoff, self._highest) as store,
        ):
            letters = require(broker, key, CanPublish)
            held = HeldDeliveries(consumption, self._route.ack_wait_s)
            keeping = asyncio.create_task(held.keep())
            fetching: asyncio.Task[HeldBatch] | None = self._fetch(held)
            try:
                while fetching:
                    batch = await self._arrival(fetching)
                    fetching = None if self._stopping.is_set() else self._fetch(held)
                    if batch and batch.deliveries:
                        await self._deliver(batch, held, store, letters)
            finally:
                await cancel(keeping, fetching)

    def _fetch(self, held: HeldDeliveries) -> asyncio.Task[HeldBatch]:
        return asyncio.create_task(held.fetch(max_messages=self._route.max_batch, max_wait_s=self._route.max_wait_s))

    async def _arrival(self, fetching: asyncio.Task[HeldBatch]) -> HeldBatch | None:
        """Wait for a fetch; None when the worker is to stop and nothing came in time."""
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({fetching, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not fetching.done():
                await asyncio.wait({fetching}, timeout=_STOP_GRACE_S)
        finally:
            await cancel(stop)
        if not fetching.done():
            await cancel(fetching)
            return None
        batch = fetching.result()
        self._progress.running()
        if not batch.deliveries:
            self._backoff.reset()
            self._progress.caught_up()
        return batch

    async def _deliver(self, batch: HeldBatch, held: HeldDeliveries, store: Store, letters: CanPublish) -> None:
        """Bring one batch into the table and the dead-letter stream, then acknowledge it."""
        rows, errors = self._decode(batch)
        if rows:
            rejected = await store.write(batch, rows)
            if rejected is None:
                return
            errors |= {row.sequence: row.reason for row in rejected}
        if errors and not await self._keep_dead_letters(batch, errors, letters):
            return
        await held.acknowledge(batch)
        self._progress.running()
        self._backoff.reset()
        self._progress.written(
            rows=len(rows.keys() - errors.keys()),
            dead_letters=len(errors),
            newest=batch.deliveries[-1].message.time,
        )

    def _decode(self, batch: HeldBatch) -> tuple[dict[int, Any], dict[int, str]]:
        """Return rows, and what is wrong with the other messages, both by sequence."""
        decode = self._route.contract.decoder.decode
        rows: dict[int, Any] = {}
        errors: dict[int, str] = {}
        for delivery in batch.deliveries:
            sequence = delivery.message.sequence
            try:
                row = decode(delivery.message.payload)
            except ValueError as error:
                errors[sequence] = str(error)
            else:
                row.sequence = sequence
                rows[sequence] = row
        return rows, errors

    async def _keep_dead_letters(self, batch: HeldBatch, errors: Mapping[int, str], letters: CanPublish) -> bool:
        """Publish dead letters, trying again while the broker refuses them; False when the worker is to stop."""
        messages = self._dead_letters(batch, errors)
        while True:
            try:
                await letters.publish(messages)
            except ServiceUnreachableError:
                raise
            except TheDataError as error:
                self._progress.failed(RouteState.RETRYING, self._route.stream.component, error)
            else:
                return True
            if not await self._backoff.wait():
                return False

    def _dead_letters(self, batch: HeldBatch, errors: Mapping[int, str]) -> Sequence[OutgoingMessage]:
        bad = {one.message.sequence: one.message for one in batch.deliveries if one.message.sequence in errors}
        return [dead_letter(self._route, message, errors[sequence]) for sequence, message in bad.items()]
