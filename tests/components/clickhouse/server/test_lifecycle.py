"""Starting, stopping, being killed, and what the process shows of itself."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from tests.components.clickhouse.server.eventually import eventually
from tests.components.clickhouse.server_process import (
    ClickHouseServer,
    running_clickhouse,
    start_clickhouse,
    stop_clickhouse,
)

pytestmark = pytest.mark.live

STOP_WITHIN_S = 9.0
MEBIBYTE = 1 << 20


@contextlib.contextmanager
def client(server: ClickHouseServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, auth=(server.user, server.password), timeout=60) as http:
        yield http


def ask(http: httpx.Client, sql: str, **parameters: str | int) -> str:
    answer = http.post("/", content=sql, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.content.decode()


def open_request(server: ClickHouseServer, head: bytes) -> socket.socket:
    """Send the beginning of a request, as a client that then does nothing more."""
    connection = socket.create_connection((server.host, server.port))
    login = f"X-ClickHouse-User: {server.user}\r\nX-ClickHouse-Key: {server.password}\r\n".encode()
    connection.sendall(head.replace(b"LOGIN\r\n", login))
    return connection


def run_to_its_end(command: list[str], password: str = "s3cret") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CLICKHOUSE_PASSWORD": password}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_it_stops_in_seconds_whatever_its_clients_do(tmp_path: Path) -> None:
    server = start_clickhouse(tmp_path / "data")
    half_head = open_request(server, b"POST / HTTP/1.1\r\nHost: x\r\nLOGIN\r\n"[:-4])
    half_body = open_request(server, b"POST / HTTP/1.1\r\nHost: x\r\nLOGIN\r\nContent-Length: 1000\r\n\r\nSELECT")
    endless = b"SELECT count() FROM system.numbers WHERE NOT ignore(number)"
    never_read = b"SELECT number FROM system.numbers"
    running = [
        open_request(server, b"POST / HTTP/1.1\r\nHost: x\r\nLOGIN\r\nContent-Length: %d\r\n\r\n%b" % (len(sql), sql))
        for sql in (endless, never_read)
    ]
    with client(server) as http:
        eventually(lambda: ask(http, "SELECT count() FROM system.processes") == "3\n")
    started = time.monotonic()
    stop_clickhouse(server.process)
    assert time.monotonic() - started < STOP_WITHIN_S
    assert server.process.returncode == 0
    for connection in (half_head, half_body, *running):
        connection.close()


def test_an_idle_server_stops_at_once_and_says_so(tmp_path: Path) -> None:
    server = start_clickhouse(tmp_path / "data")
    started = time.monotonic()
    stop_clickhouse(server.process)
    assert time.monotonic() - started < STOP_WITHIN_S / 2
    first, last = server.log.read_text().splitlines()
    assert first.startswith("chDB 26.")
    assert first.endswith(f"listens on http://127.0.0.1:{server.port}")
    assert last == "stopped"


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    server = start_clickhouse(tmp_path / "data")
    acknowledged = 0
    with client(server) as http:
        ask(http, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
        for batch in range(20):
            ask(http, f"INSERT INTO t SELECT number + {batch} * 1000, 'x' FROM numbers(1000)")
            acknowledged += 1000
        open_insert = open_request(
            server,
            b"POST /?query=INSERT%20INTO%20t%20FORMAT%20CSV HTTP/1.1\r\nHost: x\r\nLOGIN\r\n"
            b"Content-Length: 1000\r\n\r\n1,half\n",
        )
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        open_insert.close()
    with running_clickhouse(tmp_path / "data") as again, client(again) as http:
        assert ask(http, "SELECT count(), uniqExact(a) FROM t") == f"{acknowledged}\t{acknowledged}\n"


def test_a_second_process_on_the_same_directory_says_why_it_cannot(tmp_path: Path) -> None:
    with running_clickhouse(tmp_path / "data") as server:
        command = [sys.executable, "-m", "thedata_cli.components.clickhouse.server", "--port", "0", "--user", "u"]
        done = run_to_its_end([*command, "--data-dir", str(tmp_path / "data")])
        assert done.returncode == 1
        assert "cannot open" in done.stdout
        assert "Does another process have it open?" in done.stdout
        with client(server) as http:
            assert ask(http, "SELECT 1") == "1\n"


def test_it_does_not_start_without_a_password(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "thedata_cli.components.clickhouse.server", "--user", "u", "--data-dir"]
    done = run_to_its_end([*command, str(tmp_path / "data")], password="")
    assert done.returncode == 2
    assert "CLICKHOUSE_PASSWORD is not set" in done.stderr


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "thedata_cli.components.clickhouse.server", "--port", port, "--user", "u"]
        done = run_to_its_end([*command, "--data-dir", str(tmp_path / "data")])
    assert done.returncode != 0
    assert "address already in use" in done.stdout


def test_the_password_is_in_no_place_where_others_look(tmp_path: Path) -> None:
    with running_clickhouse(tmp_path / "data", password="very-s3cret") as server, client(server) as http:
        http.post("/", content="SELECT 'very-s3cret' FROM missing")
        http.post("/?user=thedata&password=very-s3cret", content="SELECT 'very-s3cret' FORMAT nope")
        assert "very-s3cret" not in " ".join(psutil.Process(server.process.pid).cmdline())
        assert "very-s3cret" not in server.log.read_text()
        assert ask(http, "SELECT count() FROM system.one WHERE 1") == "1\n"


def test_the_database_is_made(tmp_path: Path) -> None:
    with running_clickhouse(tmp_path / "data", database="it's `odd`") as server, client(server) as http:
        assert ask(http, "SELECT currentDatabase() FORMAT TSVRaw") == "it's `odd`\n"


def test_memory_stays_bounded(tmp_path: Path) -> None:
    limit = 700 * MEBIBYTE
    arguments = ["--max-memory-bytes", str(limit)]
    with running_clickhouse(tmp_path / "data", arguments=arguments) as server, client(server) as http:
        process = psutil.Process(server.process.pid)
        ask(http, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY tuple()")
        before = process.memory_info().rss
        insert = {"query": "INSERT INTO t FORMAT RowBinary"}
        row = b"\x01\x00\x00\x00\x00\x00\x00\x00" + b"\xc8\x01" + os.urandom(200)

        def pieces() -> Iterator[bytes]:
            for _ in range(250):
                yield row * 5000

        highest = before
        http.post("/", params=insert, content=pieces()).raise_for_status()
        received = 0
        sql = "SELECT a, s, s AS t FROM t FORMAT Native"
        with http.stream(
            "POST", "/", content=sql, params={"client_protocol_version": 54460, "max_threads": 2}
        ) as answer:
            for piece in answer.iter_raw(1 << 20):
                received += len(piece)
                if received % (64 * MEBIBYTE) < MEBIBYTE:
                    highest = max(highest, process.memory_info().rss)
        assert received > 450 * MEBIBYTE
        assert highest - before < 400 * MEBIBYTE
        too_much = http.post("/", content="SELECT groupArray(repeat('x', 1000)) FROM numbers(2000000)")
        assert too_much.headers["X-ClickHouse-Exception-Code"] == "241"
        assert ask(http, "SELECT count() FROM t") == "1250000\n"
