"""Timing of whole commands: runs alternate between command and peer, so that a drift of the machine meets both."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Sequence
from typing import Any


def seconds(command: Sequence[str]) -> float:
    """Run a command once and return its wall time in seconds."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def compare(name: str, command: Sequence[str], peer_name: str, peer: Sequence[str], *, runs: int) -> dict[str, Any]:
    """Time a command against a peer, alternating, after one warm-up of each; return a figure in milliseconds."""
    seconds(command), seconds(peer)
    pairs = [(seconds(command), seconds(peer)) for _ in range(runs)]
    value, peer_value = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
    return figure(name, "ms", value, peer_name, peer_value)


def figure(name: str, unit: str, value: float, peer: str, peer_value: float) -> dict[str, Any]:
    """Return one figure as `make bench` collects it."""
    return {
        "name": name,
        "unit": unit,
        "value": value,
        "peer": peer,
        "peer_value": peer_value,
        "ratio": value / peer_value,
    }
