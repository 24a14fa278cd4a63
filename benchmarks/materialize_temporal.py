"""What views with temporal filters cost in the emulator of Materialize, above sources that grew for a day.

Prints one JSON array of figures: the views of the blueprint host-metrics with old readings, against the same without.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
from tests.components.materialize.emulator_process import Emulator, running_emulator

from benchmarks._timing import figure

OLD_READINGS = 250_000
READINGS_PER_S, LOAD_S = 10, 30
WINDOW_S = 600
EVENTS_PER_REQUEST = 5_000
VIEWS = Path(__file__).parent.parent / "blueprints" / "host-metrics" / "views"
DERIVED = ("disk_rates", "network_rates", "current_state", "alerts")
SOURCES: dict[str, dict[str, object]] = {
    "cpu": {"core": "cpu-total", "busy_percent": 12.5, "load_1m": 0.5},
    "memory": {
        "memory_total_bytes": 8 << 30, "memory_available_bytes": 4 << 30, "swap_total_bytes": 0, "swap_used_bytes": 0
    },
    "disk": {
        "disk": "sda", "read_bytes_total": 1 << 30, "written_bytes_total": 1 << 31, "reads_total": 1 << 20,
        "writes_total": 1 << 21,
    },
    "network": {
        "interface": "eth0", "received_bytes_total": 1 << 30, "sent_bytes_total": 1 << 29,
        "received_packets_total": 1 << 20, "sent_packets_total": 1 << 19, "receive_errors_total": 0,
        "send_errors_total": 0, "receive_drops_total": 0, "send_drops_total": 0,
    },
    "filesystem": {"mount": "/", "size_bytes": 1 << 40, "available_bytes": 1 << 39, "used_percent": 50.0},
}  # fmt: skip


def reading(source: str, at: float, number: int) -> str:
    """One message as the blueprint's feeds write it."""
    observed_at = datetime.fromtimestamp(at, UTC).isoformat()
    return json.dumps({"observed_at": observed_at, "host": "bench", **SOURCES[source], "_sequence": number})


@dataclass
class Load:
    """What a steady rate of readings took."""

    delays: list[float]
    cpu_percent: float


class Bench:
    """One emulator with the views of the blueprint."""

    def __init__(self, emulator: Emulator, connection: psycopg.Connection[Any]) -> None:
        """Make sources and views."""
        self._process = psutil.Process(emulator.process.pid)
        self._web = http.client.HTTPConnection(emulator.host, emulator.http_port)
        self._connection = connection
        self._number = 0
        for source in SOURCES:
            connection.execute(f"CREATE SOURCE {source}_raw FROM WEBHOOK BODY FORMAT JSON".encode())
        connection.execute("CREATE CLUSTER metrics (SIZE = '25cc')")
        connection.execute(
            "CREATE TABLE alert_rules (alert text, measure text, direction text, threshold float8, severity text)"
        )
        connection.execute("INSERT INTO alert_rules VALUES ('busy', 'cpu_busy_percent', 'above', 10, 'warning')")
        for view in (*SOURCES, *DERIVED):
            connection.execute((VIEWS / f"{view}.sql").read_bytes())

    def post(self, source: str, moments: Sequence[float]) -> None:
        """Append readings of some moments in one request."""
        events = [reading(source, at, self._number + place) for place, at in enumerate(moments)]
        self._number += len(events)
        self._web.request("POST", f"/api/webhook/materialize/public/{source}_raw", "\n".join(events).encode())
        answer = self._web.getresponse()
        if answer.read() or answer.status != 200:
            raise RuntimeError(f"status {answer.status}")

    def fill(self, count: int, until: float, span_s: float) -> None:
        """Append readings to every source, spread over a span of time."""
        for source in SOURCES:
            for first in range(0, count, EVENTS_PER_REQUEST):
                numbers = range(first, min(count, first + EVENTS_PER_REQUEST))
                self.post(source, [until - span_s + number * span_s / count for number in numbers])

    def _cpu_s(self) -> float:
        times = [one.cpu_times() for one in (self._process, *self._process.children(recursive=True))]
        return sum(one.user + one.system for one in times)

    def load(self) -> Load:
        """Post readings one by one, and time each until the alerts are those after it."""
        now = time.time()
        self.fill(WINDOW_S * READINGS_PER_S // len(SOURCES), now, WINDOW_S - 10)
        self._connection.execute("SELECT * FROM alerts").fetchall()
        start, cpu_s, delays, sources = time.perf_counter(), self._cpu_s(), [], list(SOURCES)
        for number in range(LOAD_S * READINGS_PER_S):
            time.sleep(max(0.0, start + number / READINGS_PER_S - time.perf_counter()))
            posted = time.perf_counter()
            self.post(sources[number % len(sources)], [time.time()])
            self._connection.execute("SELECT * FROM alerts").fetchall()
            delays.append(time.perf_counter() - posted)
        return Load(delays, 100 * (self._cpu_s() - cpu_s) / (time.perf_counter() - start))


def measured(old: int) -> Load:
    """The load on an emulator with old readings in every source."""
    with (
        tempfile.TemporaryDirectory() as directory,
        running_emulator(Path(directory) / "data") as emulator,
        contextlib.closing(psycopg.connect(emulator.conninfo, autocommit=True)) as connection,
    ):
        bench = Bench(emulator, connection)
        bench.fill(old, time.time() - 2 * WINDOW_S, 86_400)
        return bench.load()


def figures() -> Iterator[dict[str, Any]]:
    """With old readings and without."""
    with_old, without = measured(OLD_READINGS), measured(0)
    title = f"materialize emulator: host-metrics, {READINGS_PER_S} readings/s over {OLD_READINGS:,} old ones a source"
    peer = "nothing old"
    for name, at in (("p50", 49), ("p99", 98)):
        values = [statistics.quantiles(one.delays, n=100)[at] * 1000 for one in (with_old, without)]
        yield figure(f"{title}, posted to visible in alerts, {name}", "ms", values[0], peer, values[1])
    yield figure(f"{title}, of one core", "%", with_old.cpu_percent, peer, without.cpu_percent)


if __name__ == "__main__":
    json.dump(list(figures()), sys.stdout, indent=2)
