"""What goes wrong on a user's machine: no network, no right to write, passwords edited under a running stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import thedata
from tests.cli.test_lifecycle import ONE_AIRPORT, document, eventually

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("flights")]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A project of its own, stopped at the end."""
    made = thedata("init", "alone", "--yes", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    yield tmp_path / "alone"
    thedata("down", cwd=tmp_path / "alone")


def without_rights(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the program as a user whom permissions stop; root is such a one without these capabilities."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    return subprocess.run(
        [*drop, sys.executable, "-m", "thedata_cli", *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_network_and_cache_the_rest_is_started_applied_and_used(project: Path, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    proxies = {"HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "http_proxy": nowhere, "https_proxy": nowhere}
    done = thedata("up", cwd=project, environment={"XDG_CACHE_HOME": str(tmp_path / "empty"), **proxies})
    assert (done.returncode, done.stdout) == (1, "")
    assert str(tmp_path / "empty" / "thedata" / "questdb") in done.stderr
    assert "created clickhouse/table/airports" in done.stderr
    assert "created nats/stream/reference" in done.stderr

    published = thedata("stream", "pub", "reference", "-s", "flights.airports.04G", cwd=project, stdin=ONE_AIRPORT)
    assert published.returncode == 0, published.stderr
    eventually(project, {"clickhouse": "select airport from airports"}, "airport 04G")
    states = {service["name"]: service for service in document("status", cwd=project, exit_code=5)["services"]}
    assert states["questdb"]["state"] == "stopped"
    assert states["questdb"]["url"] is None


def test_passwords_that_are_changed_while_the_stack_runs_reach_every_service(flights: Path) -> None:
    for name in ("nats", "clickhouse"):
        (flights / "secrets" / f"{name}_password").write_text(f"another {name}")
    refused = thedata("plan", cwd=flights)
    assert refused.returncode == 4
    assert "secrets/nats_password is not what the server was started with" in refused.stderr

    started = thedata("up", cwd=flights)
    assert started.returncode == 0, started.stderr
    weather = json.dumps({"observed_at": "2013-01-01T06:00:00Z", "origin": "EWR", "temperature_f": 39.02})
    published = thedata("stream", "pub", "weather", "-s", "flights.weather.EWR", cwd=flights, stdin=weather)
    assert published.returncode == 0, published.stderr
    sql = "select origin from weather"
    eventually(flights, {"questdb": sql, "clickhouse": sql}, "origin EWR")
    assert "another" not in started.stdout + started.stderr
    assert not [line for line in command_lines() if "another nats" in line or "another clickhouse" in line]


def command_lines() -> list[str]:
    """Return what `ps` shows of every process."""
    return [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]


@pytest.mark.parametrize("engine", ["questdb", "clickhouse"])
@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_reader_that_leaves_is_no_error_and_a_full_disk_is_told(flights: Path, engine: str, format_: str) -> None:
    numbers = {"questdb": "select x from long_sequence(9000000)", "clickhouse": "select number from numbers(9000000)"}
    command = [sys.executable, "-m", "thedata_cli", "query", engine, numbers[engine], "--format", format_]
    with subprocess.Popen(command, cwd=flights, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as query:
        assert query.stdout
        assert query.stderr
        query.stdout.read(1)
        query.stdout.close()
        assert query.stderr.read() == b""
    assert query.returncode == 0

    if Path("/dev/full").exists():
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(command, cwd=flights, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr.splitlines()[0]) == (
            1,
            "error: cannot write the output: No space left on device",
        )


@pytest.mark.parametrize(
    ("closed", "exit_code"), [(".thedata", 1), (".thedata/logs", 1), ("streams", 3), ("secrets/nats_password", 7)]
)
def test_what_may_not_be_read_or_written_is_named(project: Path, closed: str, exit_code: int) -> None:
    (project / ".thedata" / "logs").mkdir(exist_ok=True)
    path = project / closed
    mode = path.stat().st_mode
    path.chmod(0o500 if closed.startswith(".") else 0)
    try:
        done = without_rights("up", "-o", "json", cwd=project)
    finally:
        path.chmod(mode)
    assert (done.returncode, done.stdout) == (exit_code, "")
    error = json.loads(done.stderr)["error"]
    assert closed in error["message"] + error["detail"]
    assert "ermission denied" in error["message"] + error["detail"]
    assert "bug" not in error["hint"]
