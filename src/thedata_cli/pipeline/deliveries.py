"""Deliveries in hand: kept from going to another worker while they are being written."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from thedata_cli.component_api.live import Consumption, Delivery
from thedata_cli.errors import TheDataError

_SHORTEST_WAIT_S = 0.02


@dataclass
class HeldBatch:
    """Deliveries of one fetch and the moment up to which the broker surely leaves them to us."""

    deliveries: Sequence[Delivery]
    ours_until: float

    @property
    def is_doubtful(self) -> bool:
        """Whether the broker may have given them to another worker meanwhile, which may have written them."""
        return time.monotonic() > self.ours_until


class HeldDeliveries:
    """Every batch that was fetched and is not yet acknowledged."""

    def __init__(self, consumption: Consumption, ack_wait_s: float) -> None:
        self._consumption = consumption
        self._ack_wait_s = ack_wait_s
        self._batches: list[HeldBatch] = []

    async def fetch(self, *, max_messages: int, max_wait_s: float) -> HeldBatch:
        """Fetch the next batch; it is held until it is acknowledged."""
        started = time.monotonic()
        wait_s = min(max_wait_s, self._ack_wait_s / 3)
        deliveries = await self._consumption.fetch(max_messages=max_messages, max_wait_s=wait_s)
        batch = HeldBatch(deliveries, started + self._ack_wait_s)
        if deliveries:
            self._batches.append(batch)
        elif time.monotonic() - started < _SHORTEST_WAIT_S:
            # A broker that answers "nothing" at once must not be asked in a hot loop.
            await asyncio.sleep(_SHORTEST_WAIT_S)
        return batch

    async def acknowledge(self, batch: HeldBatch) -> None:
        """Tell the broker that the batch is done."""
        await self._consumption.acknowledge(batch.deliveries)
        self._batches.remove(batch)

    async def keep(self) -> None:
        """Extend the time of every held batch, for ever.

        A broker that does not answer makes the batches doubtful, no more: the next fetch or acknowledgement finds
        out, and deals with it.
        """
        while True:
            await asyncio.sleep(self._ack_wait_s / 3)
            for batch in list(self._batches):
                until = time.monotonic() + self._ack_wait_s
                with contextlib.suppress(TheDataError):
                    await self._consumption.extend(batch.deliveries)
                    batch.ours_until = until if not batch.is_doubtful else batch.ours_until
