"""How fast the emulator of Materialize is: through its proxy, in a refill, from a webhook to views, to a subscriber.

Prints one JSON array of figures.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
from tests.components.materialize.emulator_process import Emulator, running_emulator

from benchmarks._flights import DEPARTURES, VIEWS, WEATHER, departure, weather
from benchmarks._timing import figure

NAME = "materialize emulator"
RESULT_ROWS, RUNS = 100_000, 9
EVENTS_PER_REQUEST = 5_000
LIVE_EVENTS_PER_S, REQUESTS_PER_S, LIVE_S, POSTERS = 1_000, 20, 15, 16
SUBSCRIBED_ROWS, CHANGES, CHANGES_PER_S = 100_000, 200, 20


class Poster:
    """One connection that posts events."""

    def __init__(self, emulator: Emulator) -> None:
        """Keep one connection."""
        self._connection = http.client.HTTPConnection(emulator.host, emulator.http_port)

    def post(self, source: str, events: Sequence[str]) -> None:
        """Append events in one request."""
        self._connection.request("POST", f"/api/webhook/materialize/public/{source}", "\n".join(events).encode())
        answer = self._connection.getresponse()
        if answer.read() or answer.status != 200:
            raise RuntimeError(f"status {answer.status}")


def connected(emulator: Emulator) -> contextlib.closing[psycopg.Connection[Any]]:
    return contextlib.closing(psycopg.connect(emulator.conninfo, autocommit=True))


def proxy(emulator: Emulator, socket_dir: str) -> Iterator[dict[str, Any]]:
    """A large result through the emulator, and from PostgreSQL itself."""
    direct = f"host={socket_dir} user=materialize dbname=materialize"
    with connected(emulator) as ours, contextlib.closing(psycopg.connect(direct, autocommit=True)) as theirs:
        ours.execute("CREATE TABLE result (id int, name text, price float8, at timestamptz)")
        ours.execute(
            "INSERT INTO result SELECT g, 'name ' || g, g / 3.0, timestamptz '2024-01-01' + g * interval '1 second' "
            f"FROM generate_series(1, {RESULT_ROWS}) g"
        )
        for binary in (False, True):
            pairs = [(read(ours, binary), read(theirs, binary)) for _ in range(RUNS)]
            value, peer = (statistics.median(times) * 1000 for times in zip(*pairs, strict=True))
            name = f"{NAME}: {RESULT_ROWS:,} rows in {'binary' if binary else 'text'}"
            yield figure(name, "ms", value, "PostgreSQL asked directly", peer)


def read(connection: psycopg.Connection[Any], binary: bool) -> float:
    """Seconds to read the whole result."""
    started = time.perf_counter()
    rows = connection.execute("SELECT * FROM result", binary=binary).fetchall()
    if len(rows) != RESULT_ROWS:
        raise RuntimeError(f"{len(rows)} rows")
    return time.perf_counter() - started


def refill(emulator: Emulator) -> Iterator[dict[str, Any]]:
    """Post a year of departures and weather, and wait until every view has them."""
    filling = {
        "departures_raw": [departure(number, number + 1) for number in range(DEPARTURES)],
        "weather_raw": [weather(number) for number in range(WEATHER)],
    }

    def fill(source: str) -> None:
        poster, events = Poster(emulator), filling[source]
        for at in range(0, len(events), EVENTS_PER_REQUEST):
            poster.post(source, events[at : at + EVENTS_PER_REQUEST])

    started = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, filling))
    with connected(emulator) as connection:
        found = connection.execute(
            "SELECT (SELECT sum(departures) FROM delays_by_hour), (SELECT sum(departures) FROM weather_delays), "
            "(SELECT count(*) FROM recent_delays)"
        ).fetchone()
    seconds = time.perf_counter() - started
    if found is None or found[0] != DEPARTURES or found[1] < DEPARTURES * 0.9 or not found[2]:
        raise RuntimeError(f"{found} in the views")
    yield figure(
        f"{NAME}: refill of {DEPARTURES:,} departures and the weather, 6 views right", "s", seconds, "bound", 30
    )


def live(emulator: Emulator) -> Iterator[dict[str, Any]]:
    """Post at a steady rate, a tenth of it corrections; time each request until a query of the views has it."""
    per_request = LIVE_EVENTS_PER_S // REQUESTS_PER_S
    own = threading.local()
    start = time.perf_counter() + 1

    def send(number: int) -> float:
        if not hasattr(own, "poster"):
            own.poster, own.connection = Poster(emulator), psycopg.connect(emulator.conninfo, autocommit=True)
        sequences = [DEPARTURES + 1 + number * per_request + at for at in range(per_request)]
        events = [departure(one * 7919 % DEPARTURES if one % 10 == 0 else one, one) for one in sequences]
        due = start + number / REQUESTS_PER_S
        time.sleep(max(0.0, due - time.perf_counter()))
        own.poster.post("departures_raw", events)
        own.connection.execute("SELECT l.hour, w.* FROM latest_hour l, weather_delays w").fetchall()
        return time.perf_counter() - due

    with ThreadPoolExecutor(POSTERS) as pool:
        delays = list(pool.map(send, range(LIVE_S * REQUESTS_PER_S)))
    title = f"{NAME}: posted to visible in 6 views, {LIVE_EVENTS_PER_S:,}/s over {DEPARTURES:,} departures"
    yield from _percentiles(title, delays, 500)


def _percentiles(title: str, delays: Sequence[float], bound_ms: float) -> Iterator[dict[str, Any]]:
    cuts = statistics.quantiles(delays, n=100)
    for name, value in (("p50", cuts[49]), ("p99", cuts[98])):
        yield figure(f"{title}, {name}", "ms", value * 1000, "bound", bound_ms)


def subscription(emulator: Emulator) -> Iterator[dict[str, Any]]:
    """Follow a large view by COPY: the snapshot, then each change from its commit to the client."""
    seen: dict[int, float] = {}
    with connected(emulator) as writer, connected(emulator) as reader:
        writer.execute("CREATE TABLE readings (sensor int, at int, name text, value int)")
        writer.execute(
            "CREATE MATERIALIZED VIEW by_sensor AS SELECT sensor, at, max(name) AS name, sum(value) AS value "
            "FROM readings GROUP BY sensor, at"
        )
        writer.execute(
            "INSERT INTO readings SELECT g / 100, g % 100, 'name ' || g, g "
            f"FROM generate_series(1, {SUBSCRIBED_ROWS}) AS g"
        )
        writer.execute("SELECT count(*) FROM by_sensor")
        has_snapshot = threading.Event()
        thread = threading.Thread(target=_follow, args=(reader, seen, has_snapshot.set))
        started = time.perf_counter()
        thread.start()
        has_snapshot.wait()
        yield figure(
            f"{NAME}: snapshot of {SUBSCRIBED_ROWS:,} rows to a subscriber",
            "s",
            time.perf_counter() - started,
            "bound",
            2,
        )
        committed = {}
        for number in range(CHANGES):
            writer.execute("INSERT INTO readings VALUES (-1, %s, 'x', 1)", [number])
            committed[number] = time.perf_counter()
            time.sleep(1 / CHANGES_PER_S)
        while len(seen) < CHANGES:
            time.sleep(0.05)
        reader.cancel_safe()
        thread.join()
    delays = [seen[number] - committed[number] for number in committed]
    yield from _percentiles(f"{NAME}: change to subscriber of {SUBSCRIBED_ROWS:,} rows", delays, 500)


def _follow(reader: psycopg.Connection[Any], seen: dict[int, float], tell_snapshot: Callable[[], None]) -> None:
    sql = b"COPY (SUBSCRIBE by_sensor ENVELOPE UPSERT (KEY (sensor, at)) WITH (SNAPSHOT, PROGRESS)) TO STDOUT"
    rows = 0
    with contextlib.suppress(psycopg.errors.QueryCanceled), reader.cursor().copy(sql) as copy:
        for line in copy:
            _, progressed, _, sensor, at, *_ = bytes(line).split(b"\t")
            if progressed == b"f":
                rows += 1
                if sensor == b"-1":
                    seen[int(at)] = time.perf_counter()
            elif rows >= SUBSCRIBED_ROWS:
                tell_snapshot()


def main() -> None:
    """Measure, and print one JSON array."""
    with tempfile.TemporaryDirectory() as directory, running_emulator(Path(directory) / "data") as emulator:
        pid_file = Path(directory) / "data" / "postgres" / "postmaster.pid"
        figures = list(proxy(emulator, pid_file.read_text().splitlines()[4].strip()))
        with connected(emulator) as connection:
            for sql in VIEWS:
                connection.execute(sql.encode())
        figures += refill(emulator)
        figures += live(emulator)
        figures += subscription(emulator)
    json.dump(figures, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
