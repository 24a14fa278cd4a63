"""The `host-metrics` project, running: readings arrive in every engine, and alerts come and go."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import make_project, running_project, thedata

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("host-metrics")]

FEEDS = ("cpu", "memory", "disk", "filesystem", "network")
WAIT_LIMIT_S = 30.0
PRESENT = {"materialize": "", "clickhouse": " FINAL", "questdb": " WHERE NOT _deleted"}
"""How to read, in each engine, what a view has now."""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project, up and applied, without messages."""
    with running_project(make_project(tmp_path_factory.mktemp("hosts") / "hosts", "host-metrics")) as project:
        yield project


def rows(project: Path, engine: str, sql: str) -> list[list[Any]]:
    """Return the values of a result, row by row."""
    done = thedata("query", engine, sql, "--output", "json", cwd=project)
    assert done.returncode == 0, done.stderr
    return [list(row.values()) for row in json.loads(done.stdout)]


def wait_for(project: Path, engine: str, sql: str, expected: list[list[Any]]) -> None:
    """Wait until a query gives what is expected."""
    deadline = time.monotonic() + WAIT_LIMIT_S
    while (found := rows(project, engine, sql)) != expected:
        assert time.monotonic() < deadline, f"{engine}: {sql}: {found}, not {expected}"


def publish(project: Path, stream: str, *messages: Mapping[str, Any] | str) -> None:
    lines = [message if isinstance(message, str) else json.dumps(message) for message in messages]
    done = thedata("stream", "pub", stream, cwd=project, stdin="".join(f"{line}\n" for line in lines))
    assert done.returncode == 0, done.stderr


def instant(seconds_ago: float = 0) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat(timespec="microseconds")


def memory(host: str, available_bytes: int) -> Mapping[str, Any]:
    return {
        "observed_at": instant(),
        "host": host,
        "memory_total_bytes": 1000,
        "memory_available_bytes": available_bytes,
        "memory_used_bytes": 1000 - available_bytes,
        "memory_free_bytes": available_bytes,
        "swap_total_bytes": 0,
        "swap_used_bytes": 0,
    }


def network(host: str, observed_at: str, bytes_: int, errors: int = 0) -> Mapping[str, Any]:
    counters = ("sent_bytes", "received_packets", "sent_packets", "send_errors", "receive_drops", "send_drops")
    return {
        "observed_at": observed_at,
        "host": host,
        "interface": "eth0",
        "received_bytes_total": bytes_,
        "receive_errors_total": errors,
        **{f"{name}_total": 0 for name in counters},
    }


def readings(project: Path, feed: str) -> Sequence[str]:
    command = [sys.executable, f"feeds/{feed}.py", "--count", "3", "--interval", "0.2"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout.splitlines()


def test_readings_of_this_machine_arrive_in_every_engine(hosts: Path) -> None:
    read = {feed: readings(hosts, feed) for feed in FEEDS}
    for feed, lines in read.items():
        publish(hosts, feed, *lines)
    counts = " UNION ALL ".join(f"SELECT '{feed}' AS feed, count(*) AS messages FROM {feed}" for feed in FEEDS)
    expected = sorted([feed, len(lines)] for feed, lines in read.items())
    for engine in PRESENT:
        wait_for(hosts, engine, f"SELECT * FROM ({counts}) AS c ORDER BY feed", expected)
    measure = "SELECT value FROM current_state WHERE measure = 'memory_available_percent'"
    [[memory_available]] = rows(hosts, "materialize", measure)
    assert 0 < memory_available < 100


def test_an_alert_comes_and_goes_in_every_engine(hosts: Path) -> None:
    alert = "SELECT alert, device, value, threshold, severity FROM (SELECT * FROM alerts{}) AS a WHERE host = 'nowhere'"
    publish(hosts, "memory", memory("nowhere", 10))
    for engine, present in PRESENT.items():
        wait_for(hosts, engine, alert.format(present), [["memory_low", "memory", 1.0, 10.0, "critical"]])
    publish(hosts, "memory", memory("nowhere", 500))
    for engine, present in PRESENT.items():
        wait_for(hosts, engine, alert.format(present), [])


def test_rates_are_those_between_two_readings_and_a_restart_gives_none(hosts: Path) -> None:
    began = datetime.now(UTC) - timedelta(seconds=20)
    readings = [(0, 1000, 0), (2, 5000, 0), (3, 10, 0), (5, 310, 4), (5, 310, 4)]
    publish(
        hosts,
        "network",
        *(
            network("elsewhere", (began + timedelta(seconds=after)).isoformat(), bytes_, errors)
            for after, bytes_, errors in readings
        ),
    )
    sql = (
        "SELECT received_bytes_per_s, errors FROM (SELECT * FROM network_rates{}) AS r "
        "WHERE host = 'elsewhere' ORDER BY observed_at"
    )
    for engine, present in PRESENT.items():
        wait_for(hosts, engine, sql.format(present), [[2000.0, 0], [150.0, 4]])
    errors = "SELECT value FROM alerts WHERE alert = 'network_errors' AND host = 'elsewhere'"
    wait_for(hosts, "materialize", errors, [[4.0]])


def test_every_query_of_the_project_runs(hosts: Path) -> None:
    for file in sorted((hosts / "queries").glob("*.sql")):
        engine = file.read_text().partition("\n")[0].removeprefix("-- engine: ")
        done = thedata("query", engine, "--name", file.stem, "--output", "csv", cwd=hosts)
        assert done.returncode == 0, f"{file.name}: {done.stderr}"


def test_nothing_is_left_to_change_and_nothing_is_wrong(hosts: Path) -> None:
    plan = thedata("plan", "--exit-code", cwd=hosts)
    assert plan.returncode == 0, plan.stdout
    doctor = json.loads(thedata("doctor", "--output", "json", cwd=hosts).stdout)
    assert not [check for group in doctor["groups"].values() for check in group if check["status"] == "failed"]
