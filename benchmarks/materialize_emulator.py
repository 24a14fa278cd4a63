"""How fast the emulator of Materialize is: through its proxy, from a webhook to a view, and in a refill.

Prints one JSON array of figures.
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
from pathlib import Path
from typing import Any

import psycopg
from tests.components.materialize.emulator_process import Emulator, running_emulator

from benchmarks._timing import figure

RESULT_ROWS = 100_000
RUNS = 9
REFILL_EVENTS = 336_776
EVENTS_PER_REQUEST = 500
LIVE_EVENTS_PER_S = 1_000
LIVE_S = 15
REQUESTS_PER_S = 20
VIEWS = (
    "CREATE SOURCE departures FROM WEBHOOK BODY FORMAT JSON",
    "CREATE MATERIALIZED VIEW flights AS SELECT DISTINCT ON (id) body->>'id' AS id, body->>'carrier' AS carrier, "
    "body->>'origin' AS origin, (body->>'dep_delay')::int AS dep_delay, "
    "try_parse_monotonic_iso8601_timestamp(body->>'time_hour') AS hour FROM departures ORDER BY id",
    "CREATE MATERIALIZED VIEW by_carrier AS "
    "SELECT carrier, count(*) AS n, avg(dep_delay) AS delay FROM flights GROUP BY carrier",
    "CREATE MATERIALIZED VIEW by_hour AS "
    "SELECT origin, hour, count(*) AS n, max(dep_delay) AS worst FROM flights GROUP BY origin, hour",
)


def departure(number: int) -> str:
    """One event, of the size of the flights blueprint's."""
    hour = number * 8760 // REFILL_EVENTS % 8760
    return json.dumps({
        "id": f"f{number}", "carrier": ("AA", "UA", "DL", "B6", "EV")[number % 5],
        "origin": ("JFK", "LGA", "EWR")[number % 3], "dest": "LAX", "flight": number % 3000, "tailnum": "N12345",
        "dep_delay": None if number % 37 == 0 else number % 120 - 10,
        "time_hour": f"2013-{1 + hour // 730:02}-{1 + hour % 730 // 27:02}T{hour % 24:02}:00:00.000Z", "distance": 1400,
    })  # fmt: skip


class Poster:
    """One connection that posts events."""

    def __init__(self, emulator: Emulator) -> None:
        """Keep one connection."""
        self._connection = http.client.HTTPConnection(emulator.host, emulator.http_port)

    def post(self, events: Sequence[str]) -> None:
        """Append events in one request."""
        self._connection.request("POST", "/api/webhook/materialize/public/departures", "\n".join(events).encode())
        answer = self._connection.getresponse()
        if answer.read() or answer.status != 200:
            raise RuntimeError(f"status {answer.status}")


def proxy(emulator: Emulator, socket_dir: str) -> Iterator[dict[str, Any]]:
    """A large result through the emulator, and from PostgreSQL itself."""
    direct = f"host={socket_dir} user=materialize dbname=materialize"
    with (
        contextlib.closing(psycopg.connect(emulator.conninfo, autocommit=True)) as ours,
        contextlib.closing(psycopg.connect(direct, autocommit=True)) as theirs,
    ):
        ours.execute("CREATE TABLE result (id int, name text, price float8, at timestamptz)")
        ours.execute(
            "INSERT INTO result SELECT g, 'name ' || g, g / 3.0, timestamptz '2024-01-01' + g * interval '1 second' "
            f"FROM generate_series(1, {RESULT_ROWS}) g"
        )
        for binary in (False, True):
            pairs = [(read(ours, binary), read(theirs, binary)) for _ in range(RUNS)]
            value, peer = (statistics.median(times) * 1000 for times in zip(*pairs, strict=True))
            name = f"materialize emulator: {RESULT_ROWS:,} rows in {'binary' if binary else 'text'}"
            yield figure(name, "ms", value, "PostgreSQL asked directly", peer)


def read(connection: psycopg.Connection[Any], binary: bool) -> float:
    """Seconds to read the whole result."""
    started = time.perf_counter()
    rows = connection.execute("SELECT * FROM result", binary=binary).fetchall()
    if len(rows) != RESULT_ROWS:
        raise RuntimeError(f"{len(rows)} rows")
    return time.perf_counter() - started


def refill(poster: Poster, connection: psycopg.Connection[Any]) -> Iterator[dict[str, Any]]:
    """Post a year of departures, and wait until every view has them."""
    events = [departure(number) for number in range(REFILL_EVENTS)]
    started = time.perf_counter()
    for at in range(0, REFILL_EVENTS, EVENTS_PER_REQUEST):
        poster.post(events[at : at + EVENTS_PER_REQUEST])
    row = connection.execute("SELECT (SELECT sum(n) FROM by_carrier), (SELECT sum(n) FROM by_hour)").fetchone()
    if row != (REFILL_EVENTS, REFILL_EVENTS):
        raise RuntimeError(f"{row} events in the views")
    seconds = time.perf_counter() - started
    yield figure(f"materialize emulator: refill of {REFILL_EVENTS:,} events into 3 views", "s", seconds, "bound", 30)


def live(poster: Poster, connection: psycopg.Connection[Any], held: int) -> Iterator[dict[str, Any]]:
    """Post at a steady rate; time each request until a query of a view has its events."""
    per_request = LIVE_EVENTS_PER_S // REQUESTS_PER_S
    delays = []
    start = time.perf_counter()
    for number in range(LIVE_S * REQUESTS_PER_S):
        time.sleep(max(0.0, start + number / REQUESTS_PER_S - time.perf_counter()))
        first = held + number * per_request
        posted = time.perf_counter()
        poster.post([departure(first + at) for at in range(per_request)])
        row = connection.execute("SELECT sum(n) FROM by_carrier").fetchone()
        delays.append(time.perf_counter() - posted)
        if row is None or row[0] != first + per_request:
            raise RuntimeError(f"{row} events in the view")
    cuts = statistics.quantiles(delays, n=100)
    for name, value in (("p50", cuts[49]), ("p99", cuts[98])):
        title = (
            f"materialize emulator: posted to visible in a view, {LIVE_EVENTS_PER_S:,}/s over {held:,} events, {name}"
        )
        yield figure(title, "ms", value * 1000, "bound", 500)


def main() -> None:
    """Measure, and print one JSON array."""
    with tempfile.TemporaryDirectory() as directory, running_emulator(Path(directory) / "data") as emulator:
        pid_file = Path(directory) / "data" / "postgres" / "postmaster.pid"
        figures = list(proxy(emulator, pid_file.read_text().splitlines()[4].strip()))
        poster = Poster(emulator)
        with contextlib.closing(psycopg.connect(emulator.conninfo, autocommit=True)) as connection:
            for sql in VIEWS:
                connection.execute(sql.encode())
            figures += live(poster, connection, 0)
            connection.execute("DROP SOURCE departures CASCADE")
            for sql in VIEWS:
                connection.execute(sql.encode())
            figures += refill(poster, connection)
            figures += live(poster, connection, REFILL_EVENTS)
    json.dump(figures, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
