"""Print how full each file system of this machine is, as one JSON message a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from readings import psutil, write


def read() -> Iterator[Mapping[str, Any]]:
    """Yield one message for each file system that can be written to and measured."""
    for mount, device, type_ in _mounts():
        try:
            usage = psutil.disk_usage(mount)
        except OSError:
            continue
        yield {
            "mount": mount,
            "device": device,
            "filesystem_type": type_,
            "size_bytes": usage.total,
            "used_bytes": usage.used,
            "available_bytes": usage.free,
            "used_percent": usage.percent,
        }


def _mounts() -> list[tuple[str, str, str]]:
    """Return each device at its shortest mount point: containers have one mounted many times, file by file."""
    found: dict[str, tuple[str, str, str]] = {}
    for partition in sorted(psutil.disk_partitions(), key=lambda one: (len(one.mountpoint), one.mountpoint)):
        if "ro" not in partition.opts.split(","):
            found.setdefault(partition.device, (partition.mountpoint, partition.device, partition.fstype))
    # A container's own root is on no device of its own, but it is what runs full.
    return list(found.values()) or [("/", "", "")]


if __name__ == "__main__":
    write("Prints how full each file system is.", read)
