"""A platform from the command line: started, applied, asked, broken and mended, stopped; real engines throughout."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cli.conftest import thedata

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("flights")]

ONE_DEPARTURE = json.dumps(
    {
        "scheduled_at": "2013-01-01T10:15:00Z",
        "carrier": "UA",
        "flight": 1545,
        "origin": "EWR",
        "destination": "IAH",
        "tail_number": "N14228",
        "departed_at": "2013-01-01T10:17:00Z",
        "departure_delay_minutes": 2,
        "arrival_delay_minutes": 11,
        "air_time_minutes": 227,
        "distance_miles": 1400,
    }
)

ONE_AIRPORT = json.dumps(
    {
        "airport": "04G",
        "name": "Lansdowne Airport",
        "latitude": 41.1304722,
        "longitude": -80.6195833,
        "altitude_feet": 1044,
        "time_zone": "America/New_York",
    }
)


def document(*arguments: str, cwd: Path, exit_code: int = 0, stdin: str | None = None) -> Any:
    """Run a command with JSON output and return it."""
    done = thedata(*arguments, "--output", "json", cwd=cwd, stdin=stdin)
    assert done.returncode == exit_code, done.stdout + done.stderr
    return json.loads(done.stdout)


def eventually(flights: Path, sql: dict[str, str], expected: str) -> None:
    """Wait until a query on each engine gives what is expected."""
    for engine, text in sql.items():
        while True:
            done = thedata("query", engine, text, "--output", "csv", cwd=flights)
            assert done.returncode == 0, done.stderr
            if done.stdout.split() == expected.split():
                break


def test_right_after_up_there_is_nothing_to_change(flights: Path) -> None:
    plan = thedata("plan", "--exit-code", cwd=flights)
    assert (plan.returncode, plan.stderr) == (0, ""), plan.stdout
    assert "No changes" in plan.stdout


def test_a_second_up_changes_nothing(flights: Path) -> None:
    before = {service["name"]: service["ports"] for service in document("status", cwd=flights)["services"]}
    report = document("up", cwd=flights)
    assert report["schema"] == "thedata/up/1"
    assert report["apply"]["changes"] == []
    assert {service["name"]: service["ports"] for service in report["status"]["services"]} == before


def test_status_shows_wanted_and_running_versions(flights: Path) -> None:
    status = document("status", cwd=flights)
    names = {service["name"] for service in status["services"]}
    assert names == {"nats", "questdb", "materialize", "clickhouse", "worker"}
    for service in status["services"]:
        assert service["state"] == "healthy"
        assert service["version_running"] == service["version_wanted"]


def test_doctor_finds_nothing_wrong(flights: Path) -> None:
    report = document("doctor", cwd=flights)
    assert set(report["groups"]) == {"machine", "project", "stack"}
    assert not [check for group in report["groups"].values() for check in group if check["status"] == "failed"]


def test_an_event_reaches_every_table_once(flights: Path) -> None:
    subject = ("--subject", "flights.departures.{origin}")
    for _ in range(2):
        thedata("stream", "pub", "departures", *subject, cwd=flights, stdin=ONE_DEPARTURE + "\n")
    sql = "select carrier, flight from departures"
    eventually(flights, {"questdb": sql, "clickhouse": sql}, "carrier,flight UA,1545")
    tail = thedata("stream", "tail", "departures", "--last", "5", "--no-follow", "--output", "json", cwd=flights)
    assert json.loads(tail.stdout)["subject"] == "flights.departures.EWR"


def test_a_message_that_breaks_its_contract_is_refused_with_its_line(flights: Path) -> None:
    bad = ONE_DEPARTURE.replace("1545", '"many"')
    done = thedata(
        "stream",
        "pub",
        "departures",
        "-s",
        "flights.departures.{origin}",
        cwd=flights,
        stdin=f"{ONE_DEPARTURE}\n{bad}\n",
    )
    assert done.returncode == 1
    assert "line 2" in done.stderr
    assert "flight" in done.stderr


def test_sql_that_an_engine_rejects_is_shown_with_its_place(flights: Path) -> None:
    (flights / "wrong.sql").write_text("select 1,\n  nope from departures\n")
    for engine in ("questdb", "clickhouse"):
        done = thedata("query", engine, "--file", "wrong.sql", cwd=flights)
        assert (done.returncode, done.stdout) == (1, "")
        assert "wrong.sql:2:3" in done.stderr


def test_env_lets_other_clients_in(flights: Path) -> None:
    import clickhouse_connect
    import psycopg

    variables = json.loads(thedata("env", "--format", "json", cwd=flights).stdout)
    with psycopg.connect(variables["QUESTDB_PG_URL"], autocommit=True) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    client = clickhouse_connect.get_client(dsn=variables["CLICKHOUSE_URL"])
    assert client.query("select currentDatabase()").result_rows == [("flights",)]
    client.close()
    shell = thedata("env", "--format", "shell", cwd=flights).stdout
    assert f"export NATS_URL={variables['NATS_URL']}" in shell


def test_a_change_is_planned_applied_and_gone(flights: Path) -> None:
    stream = flights / "streams" / "weather.yaml"
    original = stream.read_text()
    stream.write_text(original + "\ndescription: changed by a test\n" if "description:" not in original else original)
    stream.write_text(original.replace("name: weather", "name: weather\nmax_message_size: 64KiB"))
    try:
        planned = thedata("plan", "--exit-code", cwd=flights)
        assert planned.returncode == 6
        assert "$JS.API.STREAM.UPDATE.weather" in planned.stdout
        assert thedata("apply", cwd=flights).returncode == 7, "without a terminal the question is refused"
        applied = document("apply", "--yes", cwd=flights)
        assert [change["state"] for change in applied["changes"]] == ["done"]
        assert thedata("plan", "--exit-code", cwd=flights).returncode == 0
    finally:
        stream.write_text(original)
        thedata("apply", "--yes", cwd=flights)


def test_what_would_lose_data_is_refused_and_named(flights: Path) -> None:
    thedata("stream", "pub", "reference", "-s", "flights.airports.04G", cwd=flights, stdin=ONE_AIRPORT + "\n")
    eventually(flights, {"clickhouse": "select airport from airports"}, "airport 04G")
    table = flights / "tables" / "clickhouse" / "airports.yaml"
    pipeline = flights / "pipelines" / "airports.yaml"
    originals = {file: file.read_text() for file in (table, pipeline)}
    try:
        for file in originals:
            file.unlink()
        done = thedata("apply", "--yes", cwd=flights)
        assert done.returncode == 7
        assert "clickhouse/table/airports" in done.stderr
        assert "--allow-data-loss" in done.stderr
    finally:
        for file, text in originals.items():
            file.write_text(text)
    assert thedata("plan", "--exit-code", cwd=flights).returncode == 0


def test_a_foreign_table_is_left_alone(flights: Path) -> None:
    created = thedata("query", "questdb", "create table foreign_table (x int)", cwd=flights)
    assert created.returncode == 0, created.stderr
    assert thedata("plan", "--exit-code", cwd=flights).returncode == 0
    thedata("query", "questdb", "drop table foreign_table", cwd=flights)


def test_a_killed_service_comes_back_and_doctor_tells(flights: Path) -> None:
    [nats] = [service for service in document("status", cwd=flights)["services"] if service["name"] == "nats"]
    pid = _listener(nats["ports"]["client"])
    os.kill(pid, signal.SIGKILL)
    while True:
        done = thedata("status", "--output", "json", cwd=flights)
        [nats] = [service for service in json.loads(done.stdout)["services"] if service["name"] == "nats"]
        if nats["state"] == "healthy" and nats["restarts"]:
            break
    report = json.loads(thedata("doctor", "--output", "json", cwd=flights).stdout)
    [check] = [check for check in report["groups"]["stack"] if check["name"] == "stack.nats"]
    assert check["status"] == "warning"
    assert check["fix"] == "thedata logs nats"


def _listener(port: int) -> int:
    [pid] = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
    }
    assert pid
    return pid


def test_wrong_credentials_are_told_apart(flights: Path) -> None:
    secret = flights / "secrets" / "clickhouse_password"
    right = secret.read_text()
    secret.write_text("wrong\n")
    try:
        done = thedata("query", "clickhouse", "select 1", cwd=flights)
        assert done.returncode == 4
        assert "password" in done.stderr.lower()
    finally:
        secret.write_text(right)


def test_everything_listens_on_loopback_only(flights: Path) -> None:
    ports = {port for service in document("status", cwd=flights)["services"] for port in service["ports"].values()}
    addresses = {
        connection.laddr.ip
        for connection in psutil.net_connections("tcp")
        if connection.laddr and connection.laddr.port in ports and connection.status == psutil.CONN_LISTEN
    }
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_a_stopped_stack_is_told_apart_from_a_broken_one(tmp_path: Path) -> None:
    project = tmp_path / "small"
    project.mkdir()
    (project / "thedata.yaml").write_text("name: small\ncomponents:\n  nats: {}\n")
    unknown = thedata("stream", "ls", cwd=project)
    assert unknown.returncode == 4
    assert "thedata up" in unknown.stderr
    (project / "streams").mkdir()
    (project / "streams" / "notes.yaml").write_text("name: notes\nsubjects: [notes]\n")
    started = thedata("up", cwd=project)
    assert started.returncode == 0, started.stderr
    assert thedata("stream", "pub", "notes", "hello", cwd=project).returncode == 0
    assert thedata("down", cwd=project).returncode == 0
    stopped = thedata("stream", "ls", cwd=project)
    assert stopped.returncode == 4
    assert "thedata up" in stopped.stderr
    refused = thedata("down", "--volumes", cwd=project)
    assert refused.returncode == 7
    assert "--allow-data-loss" in refused.stderr
    gone = thedata("down", "--volumes", "--allow-data-loss", cwd=project)
    assert gone.returncode == 0
    assert "deleted" in gone.stdout.lower()
    assert not list((project / ".thedata" / "data").glob("*/*"))
