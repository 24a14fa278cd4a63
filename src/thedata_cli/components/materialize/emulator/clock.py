"""Logical time: milliseconds since 1970 that never repeat and never go back, not even over a restart."""

from __future__ import annotations

import time


class Clock:
    """The source of all timestamps of one instance."""

    def __init__(self, after: int) -> None:
        self._last = after

    def next(self) -> int:
        """Return a timestamp later than all before it, and not earlier than the wall clock."""
        self._last = max(self._last + 1, time.time_ns() // 1_000_000)
        return self._last
