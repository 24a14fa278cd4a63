"""Print what each disk of this machine has read and written since it started, as one JSON message a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from readings import psutil, write


def read() -> Iterator[Mapping[str, Any]]:
    """Yield one message for each disk that was ever used; a container may see none."""
    for disk, counters in (psutil.disk_io_counters(perdisk=True) or {}).items():
        if counters.read_count or counters.write_count:
            yield {
                "disk": disk,
                "read_bytes_total": counters.read_bytes,
                "written_bytes_total": counters.write_bytes,
                "reads_total": counters.read_count,
                "writes_total": counters.write_count,
                "busy_ms_total": getattr(counters, "busy_time", None),
            }


if __name__ == "__main__":
    write("Prints what each disk and partition has read and written since the machine started.", read)
