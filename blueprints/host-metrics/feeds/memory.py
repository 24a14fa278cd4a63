"""Print how much memory and swap this machine has and uses, as one JSON message a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from readings import psutil, write


def read() -> Iterator[Mapping[str, Any]]:
    """Yield one message."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    yield {
        "memory_total_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "memory_used_bytes": memory.used,
        "memory_free_bytes": memory.free,
        "memory_cached_bytes": getattr(memory, "cached", None),
        "swap_total_bytes": swap.total,
        "swap_used_bytes": swap.used,
    }


if __name__ == "__main__":
    write("Prints how much memory and swap there is, and how much of it is used.", read)
