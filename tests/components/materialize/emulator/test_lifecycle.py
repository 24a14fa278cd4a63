"""Starting, stopping, being killed, and what of it a client notices."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from tests.components.materialize.emulator.lab import Lab, eventually
from tests.components.materialize.emulator_process import Emulator, running_emulator, start_emulator, stop_emulator

from thedata_cli.components.materialize.emulator.postgres import Postgres

pytestmark = pytest.mark.live


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that these tests start works in a directory that holds anything."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def backend_of(emulator: Emulator) -> psutil.Process:
    return next(one for one in psutil.Process(emulator.process.pid).children() if one.name() == "postgres")


def socket_dir_of(data_dir: Path) -> Path:
    return Path((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[4].strip())


@contextlib.contextmanager
def in_kept(emulator: Emulator) -> Iterator[psycopg.Connection]:
    with contextlib.closing(psycopg.connect(emulator.conninfo, autocommit=True)) as connection:
        connection.execute("SET search_path = kept")
        yield connection


def test_everything_survives_a_restart_and_a_kill(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    emulator = start_emulator(data_dir)
    lab_context = Lab.open(emulator, "kept")
    lab = lab_context.__enter__()
    lab.run(
        "CREATE CLUSTER c (SIZE = '25cc')",
        "CREATE SOURCE s IN CLUSTER c FROM WEBHOOK BODY FORMAT JSON",
        "CREATE TABLE t (a int)",
        "CREATE MATERIALIZED VIEW v WITH (RETAIN HISTORY FOR '1h') AS "
        "SELECT body->>'c' AS c, count(*) AS n FROM s GROUP BY 1",
        "CREATE INDEX i ON v (c)",
        "COMMENT ON SOURCE s IS 'hash'",
        "INSERT INTO t VALUES (1)",
    )
    lab.send("s", {"c": "a"}, {"c": "b"})
    assert lab.rows("SELECT * FROM v") == [("a", 1), ("b", 1)]
    before = int(lab.value("SELECT mz_now()::bigint"))
    shown = lab.rows("SHOW CREATE MATERIALIZED VIEW v")
    backend, sockets = backend_of(emulator), socket_dir_of(data_dir)
    lab.connection.close()
    lab.http.close()
    emulator.process.send_signal(signal.SIGKILL)
    emulator.process.wait()
    if sys.platform == "linux":
        eventually(lambda: not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE)
    with running_emulator(data_dir) as again, in_kept(again) as connection:
        assert not sockets.exists()
        assert connection.execute("SELECT * FROM v ORDER BY c").fetchall() == [("a", 1), ("b", 1)]
        assert connection.execute("SELECT * FROM t").fetchall() == [(1,)]
        assert connection.execute("SHOW CREATE MATERIALIZED VIEW v").fetchall() == shown
        assert connection.execute("SHOW SOURCES").fetchall() == [("s", "webhook", "c", "hash")]
        connection.execute("BEGIN")
        connection.execute(f"DECLARE c CURSOR FOR SUBSCRIBE v WITH (SNAPSHOT = false) AS OF {before}".encode())
        with Lab.open(again, "other") as other:
            other.schema = "kept"
            other.send("s", {"c": "a"})
            other.schema = "other"
        told = connection.execute("FETCH ALL c").fetchall()
        assert sorted(row[1:] for row in told) == [(-1, "a", 1), (1, "a", 2)]
        connection.execute("COMMIT")
    with running_emulator(data_dir) as last, in_kept(last) as connection:
        assert connection.execute("SELECT * FROM v ORDER BY c").fetchall() == [("a", 2), ("b", 1)]


def test_what_another_version_has_left_is_set_aside(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_emulator(data) as emulator, psycopg.connect(emulator.conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (a int)")
        connection.execute("INSERT INTO kept VALUES (7)")

    async def change_format() -> None:
        postgres = Postgres(data)
        await postgres.start()
        try:
            async with await psycopg.AsyncConnection.connect(postgres.conninfo(), autocommit=True) as backend:
                await backend.execute("UPDATE mz_emulator.instance SET format = 0")
        finally:
            await postgres.stop()

    for _ in range(2):
        asyncio.run(change_format())
        with running_emulator(data) as emulator, psycopg.connect(emulator.conninfo, autocommit=True) as connection:
            assert connection.execute("SELECT name FROM mz_catalog.mz_tables").fetchall() == []
            connection.execute("CREATE TABLE kept (a int)")
            assert "kept as database materialize_format_0" in emulator.log.read_text()


def test_it_stops_in_seconds_whatever_its_clients_do(tmp_path: Path) -> None:
    emulator = start_emulator(tmp_path / "data")
    connections = [psycopg.connect(emulator.conninfo, autocommit=True) for _ in range(3)]
    connections[0].execute("CREATE TABLE t (a int)")
    connections[1].execute("BEGIN")
    connections[1].execute("DECLARE c CURSOR FOR SUBSCRIBE t")
    connections[2].pgconn.send_query(b"SELECT pg_sleep(100)")
    half = socket.create_connection((emulator.host, emulator.http_port))
    half.sendall(b"POST /api/webhook/materialize/public/s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    backend, sockets = backend_of(emulator), socket_dir_of(tmp_path / "data")
    started = time.monotonic()
    stop_emulator(emulator.process)
    assert time.monotonic() - started < 10
    assert emulator.process.returncode == 0
    assert not backend.is_running()
    assert not sockets.exists()
    assert emulator.log.read_text().splitlines()[-1] == "stopped"
    for connection in connections:
        connection.close()
    half.close()


def run_to_its_end(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thedata_cli.components.materialize.emulator", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_second_process_on_the_same_directory_is_refused(emulator: Emulator) -> None:
    arguments = psutil.Process(emulator.process.pid).cmdline()
    data_dir = arguments[arguments.index("--data-dir") + 1]
    done = run_to_its_end("--data-dir", data_dir, "--sql-port", "0", "--http-port", "0")
    assert done.returncode == 1
    assert "another process has" in done.stdout


def test_taken_ports_are_told_and_nothing_is_touched(tmp_path: Path) -> None:
    Path("precious").write_text("kept")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for ports in (("--sql-port", "0", "--http-port", port), ("--sql-port", port, "--http-port", "0")):
            done = run_to_its_end("--data-dir", str(tmp_path / "data"), *ports)
            assert done.returncode == 1
            assert "ddress already in use" in done.stdout
    # A start that fails early once removed the directory that it was started in.
    assert Path("precious").read_text() == "kept"


def test_the_backend_is_reached_by_its_owner_only(emulator: Emulator) -> None:
    backend = backend_of(emulator)
    assert not [one for one in backend.net_connections("inet") if one.laddr]
    assert Path(backend.cwd()).stat().st_mode & 0o077 == 0
    sockets = socket_dir_of(Path(backend.cwd()).parent)
    assert sockets.stat().st_mode & 0o077 == 0
    if os.geteuid() == 0:
        assert backend.uids().real != 0


def test_when_the_backend_dies_the_emulator_says_so_and_ends(tmp_path: Path) -> None:
    emulator = start_emulator(tmp_path / "data")
    backend_of(emulator).kill()
    assert emulator.process.wait(20) == 1
    assert "PostgreSQL ended by itself" in emulator.log.read_text()
    with running_emulator(tmp_path / "data") as again:
        psycopg.connect(again.conninfo).close()
