"""Waiting for a condition, in place of sleeping for a guess."""

from __future__ import annotations

import time
from collections.abc import Callable

_PAUSE_S = 0.02


def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Ask until the condition holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(_PAUSE_S)
