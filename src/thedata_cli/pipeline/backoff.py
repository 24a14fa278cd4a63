"""How long to wait before the next attempt."""

from __future__ import annotations

import asyncio
import random

from thedata_cli.pipeline.waiting import stops_within


class Backoff:
    """Waits longer after every failed attempt, and never past the moment a stop is asked for.

    Args:
        stopping: Set when the worker is to stop; ends a wait at once.
        first_s: Seconds of the first wait.
        limit_s: Seconds that no wait exceeds. A store that came back is noticed within this time.
    """

    def __init__(self, stopping: asyncio.Event, *, first_s: float = 0.1, limit_s: float = 5.0) -> None:
        self._stopping = stopping
        self._first_s = first_s
        self._limit_s = limit_s
        self._next_s = first_s

    def reset(self) -> None:
        """Begin anew after a success."""
        self._next_s = self._first_s

    async def wait(self) -> bool:
        """Wait before the next attempt; False when the worker is to stop and there must be none.

        The wait is a random part of its length, so that many routes do not return to a store all at once.
        """
        wait_s = self._next_s * random.uniform(0.5, 1.0)
        self._next_s = min(self._next_s * 2, self._limit_s)
        return not await stops_within(self._stopping, wait_s)
