"""Waiting that ends when the worker is to stop, and ending what nobody waits for any more."""

from __future__ import annotations

import asyncio
from typing import Any


async def stops_within(stopping: asyncio.Event, seconds: float) -> bool:
    """Wait, but not past the moment a stop is asked for; tell whether one is."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def cancel(*tasks: asyncio.Task[Any] | None) -> None:
    """End tasks whose result no longer matters."""
    running = [task for task in tasks if task]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
