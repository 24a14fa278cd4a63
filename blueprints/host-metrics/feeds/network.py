"""Print what each network interface of this machine has moved since it started, as one JSON message a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from readings import psutil, write


def read() -> Iterator[Mapping[str, Any]]:
    """Yield one message for each interface that was ever used; a container may see none."""
    for interface, counters in (psutil.net_io_counters(pernic=True) or {}).items():
        if counters.packets_recv or counters.packets_sent:
            yield {
                "interface": interface,
                "received_bytes_total": counters.bytes_recv,
                "sent_bytes_total": counters.bytes_sent,
                "received_packets_total": counters.packets_recv,
                "sent_packets_total": counters.packets_sent,
                "receive_errors_total": counters.errin,
                "send_errors_total": counters.errout,
                "receive_drops_total": counters.dropin,
                "send_drops_total": counters.dropout,
            }


if __name__ == "__main__":
    write("Prints what each network interface has moved since the machine started.", read)
