"""What the HTTP face of the embedded ClickHouse costs, against chDB in the process that asks.

Runs of both alternate, so that a drift of the machine meets both. Prints one JSON array of figures.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.components.clickhouse.server_process import ClickHouseServer, running_clickhouse

ROWS = 1_000_000
RUNS = 7
SMALL_QUERIES = 50
SELECT = f"SELECT number AS id, number / 3 AS price, toString(number) AS name FROM numbers({ROWS})"
TABLE = "CREATE OR REPLACE TABLE t (id UInt64, price Float64, name String) ENGINE = MergeTree ORDER BY id"
PEER = "chDB in process"
NEWER_REVISION = "?client_protocol_version=54460"


def timed(run: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def figure(name: str, run: Callable[[], object], peer: Callable[[], object]) -> dict[str, Any]:
    """Medians of alternating runs, and their ratio."""
    pairs = [(timed(run), timed(peer)) for _ in range(RUNS)]
    value, peer_value = (statistics.median(times) for times in zip(*pairs, strict=True))
    return {
        "name": f"clickhouse http: {name}",
        "unit": "s",
        "value": round(value, 4),
        "peer": PEER,
        "peer_value": round(peer_value, 4),
        "ratio": round(value / peer_value, 2),
    }


class Client:
    """The plainest client there is, so that the server is what is measured."""

    def __init__(self, server: ClickHouseServer) -> None:
        """Keep one connection."""
        self._connection = http.client.HTTPConnection(server.host, server.port)
        self._headers = {"X-ClickHouse-User": server.user, "X-ClickHouse-Key": server.password}

    def post(self, body: bytes, path: str = "") -> bytes:
        """The answer to one query."""
        self._connection.request("POST", f"/{path}", body, self._headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(data.decode())
        return data


def insert_in_process(connection: Any, data: bytes, input_format: str) -> None:
    """The engine's own streaming insert."""
    inserter = connection.send_insert("INSERT INTO t", input_format)
    inserter.append(data)
    inserter.finish()


def figures_of(client: Client, connection: Any) -> Iterator[dict[str, Any]]:
    """Selects and inserts of a million rows, and queries that do next to nothing."""
    client.post(TABLE.encode())
    connection.query(TABLE)
    for name in ("Native", "RowBinary"):
        sql = f"{SELECT} FORMAT {name}".encode()
        data = client.post(sql)
        insert = f"?query=INSERT%20INTO%20t%20FORMAT%20{name}"
        in_process = lambda name=name: connection.query(SELECT, name).bytes()  # noqa: E731
        yield figure(f"select {ROWS:,} rows {name}", lambda sql=sql: client.post(sql), in_process)  # type: ignore[misc]
        if name == "Native":
            newer = lambda sql=sql: client.post(sql, NEWER_REVISION)  # noqa: E731
            yield figure(f"select {ROWS:,} rows Native, re-encoded for Go and Grafana", newer, in_process)
        yield figure(
            f"insert {ROWS:,} rows {name}",
            lambda data=data, insert=insert: client.post(data, insert),  # type: ignore[misc]
            lambda data=data, name=name: insert_in_process(connection, data, name),  # type: ignore[misc]
        )
    yield figure(
        f"{SMALL_QUERIES} times SELECT 1",
        lambda: [client.post(b"SELECT 1") for _ in range(SMALL_QUERIES)],
        lambda: [connection.query("SELECT 1", "TabSeparated").bytes() for _ in range(SMALL_QUERIES)],
    )


def main() -> None:
    """Measure, and print one JSON array."""
    sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]
    import chdb

    with (
        tempfile.TemporaryDirectory() as directory,
        running_clickhouse(Path(directory) / "server") as server,
        contextlib.closing(chdb.connect(f"{directory}/peer")) as connection,
    ):
        print(json.dumps(list(figures_of(Client(server), connection)), indent=2))


if __name__ == "__main__":
    main()
