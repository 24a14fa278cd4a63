"""Many writers at once: no change is lost or counted twice, and nobody reads what was before an acknowledged write."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from tests.components.materialize.emulator.lab import Lab, eventually
from tests.components.materialize.emulator.test_views import QUERIES, make

pytestmark = pytest.mark.live

ROUNDS = 4
STATEMENTS = 15
Writer = Callable[[Lab, random.Random], None]


def change_tables(lab: Lab, chance: random.Random) -> None:
    """Statements of their own, each a commit; also transactions of several, which may only insert."""
    with contextlib.closing(lab.another()) as connection:
        for _ in range(STATEMENTS):
            k, v, kind = chance.randint(1, 3), chance.randint(0, 9), chance.randint(0, 6)
            if kind == 0:
                connection.execute("INSERT INTO facts VALUES (%s, %s, NULL), (%s, %s, true)", [k, v, k, v])
            elif kind == 1:
                with connection.transaction():
                    connection.execute("INSERT INTO facts VALUES (%s, %s, false)", [k, v])
                    connection.execute("INSERT INTO dims VALUES (%s, %s)", [k, chance.choice("xyz")])
                    connection.execute("INSERT INTO facts VALUES (%s, %s, NULL)", [v % 4, k])
            elif kind == 2:
                with connection.cursor().copy("COPY facts FROM STDIN") as copying:
                    for _ in range(3):
                        copying.write_row([chance.randint(1, 3), chance.randint(0, 9), None])
            elif kind == 3:
                connection.execute(b"UPDATE facts SET v = v + 1 WHERE k = %d" % k)
            elif kind == 4:
                connection.execute("DELETE FROM facts WHERE k = %s AND v > %s", [k, chance.randint(3, 9)])
            elif kind == 5:
                connection.execute(b"DELETE FROM dims WHERE k = %d" % k)
            else:
                with connection.pipeline():
                    for _ in range(3):
                        connection.execute("INSERT INTO facts VALUES (%s, %s, true)", [k, v])


def send_events(lab: Lab, chance: random.Random) -> None:
    """Requests of several rows."""
    for _ in range(STATEMENTS):
        rows = [
            {
                "id": chance.randint(1, 20),
                "k": chance.choice([1, 2, 3, None]),
                "v": chance.randint(0, 9),
                "s": "abc"[at],
            }
            for at in range(chance.randint(1, 3))
        ]
        lab.send("events", *rows)


def change_definitions(lab: Lab, chance: random.Random) -> None:
    """Definitions, each of which happens in a tick of its own."""
    with contextlib.closing(lab.another()) as connection:
        for _ in range(STATEMENTS // 3):
            name = f"passing_{chance.randint(1, 10**9)}"
            connection.execute(f"CREATE MATERIALIZED VIEW {name} AS SELECT count(*) AS n FROM facts".encode())
            connection.execute(f"SELECT * FROM {name}".encode())
            connection.execute(f"DROP MATERIALIZED VIEW {name}".encode())


def vanish(lab: Lab, chance: random.Random) -> None:
    """Clients that are gone before their definition or their subscription is made."""
    for number in range(STATEMENTS // 3):
        connection = lab.another()
        sql = (
            f"SUBSCRIBE (SELECT k, {number} FROM facts)" if number % 2 else "CREATE VIEW gone AS SELECT * FROM nothing"
        )
        connection.pgconn.send_query(sql.encode())
        connection.pgconn.flush()
        with socket.socket(fileno=connection.pgconn.socket) as raw:
            raw.shutdown(socket.SHUT_RDWR)
            raw.detach()
        connection.close()


WRITERS: list[Writer] = [
    change_tables,
    change_tables,
    change_tables,
    send_events,
    send_events,
    change_definitions,
    vanish,
]


def test_views_are_their_queries_whenever_the_writers_rest(lab: Lab) -> None:
    make(lab)
    with ThreadPoolExecutor(len(WRITERS)) as pool:
        for number in range(ROUNDS):
            chances = [random.Random(f"{number} {place}") for place in range(len(WRITERS))]
            list(pool.map(lambda writer, chance: writer(lab, chance), WRITERS, chances))
            for name in [*QUERIES, "above"]:
                view, query = lab.rows(f"SELECT * FROM {name}"), lab.rows(f"SELECT * FROM {name}_query")
                assert view == query, f"{name} after round {number}"


def test_a_transaction_begins_with_what_was_acknowledged(lab: Lab) -> None:
    lab.run("CREATE TABLE t (a int)", "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t")
    with contextlib.closing(psycopg.connect(lab.emulator.conninfo)) as reader:
        reader.execute(f"SET search_path = {lab.schema}".encode())
        reader.commit()
        for number in range(1, 11):
            lab.run("INSERT INTO t VALUES (1)")
            for parameters in (None, (1,)):
                where = "" if parameters is None else " WHERE 1 = %s"
                assert reader.execute("SELECT count(*) FROM t").fetchone() == (number,)
                found = reader.execute(
                    f"SELECT n FROM n{where}".encode(), parameters, prepare=number % 2 == 0
                ).fetchone()
                assert found == (number,)
                reader.commit()


def test_a_source_that_is_being_written_can_be_dropped(lab: Lab) -> None:
    stop = threading.Event()

    def post() -> set[int]:
        statuses = set()
        with httpx.Client(base_url=lab.emulator.http_url) as http:
            while not stop.is_set():
                path = f"/api/webhook/materialize/{lab.schema}/s"
                statuses.add(http.post(path, content=b"1").status_code)
        return statuses

    with ThreadPoolExecutor(3) as pool:
        posting = [pool.submit(post) for _ in range(3)]
        try:
            for _ in range(8):
                lab.run(
                    "CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON",
                    "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM s",
                )
                eventually(lambda: lab.value("SELECT n FROM v") > 20)
                lab.run("DROP SOURCE s CASCADE")
        finally:
            stop.set()
    assert set().union(*(one.result() for one in posting)) == {200, 404}


@pytest.mark.parametrize("kind", ["TABLE", "MATERIALIZED VIEW", "SOURCE"])
def test_a_drop_waits_for_who_reads_and_nobody_waits_for_the_drop(lab: Lab, kind: str) -> None:
    what = {
        "TABLE": "r (a int)",
        "MATERIALIZED VIEW": "r AS SELECT 1 AS a",
        "SOURCE": "r FROM WEBHOOK BODY FORMAT JSON",
    }
    lab.run(f"CREATE {kind} {what[kind]}", "CREATE TABLE t (a int)")
    lab.run("CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t")
    reading, dropping = contextlib.closing(lab.another()), contextlib.closing(lab.another())
    with ThreadPoolExecutor(1) as pool, reading as reader, dropping as dropper:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM r")
        dropped = pool.submit(dropper.execute, f"DROP {kind} r".encode())
        for number in range(1, 6):
            started = time.monotonic()
            lab.run("INSERT INTO t VALUES (1)")
            assert lab.rows("SELECT * FROM n") == [(number,)]
            assert time.monotonic() - started < 2
        assert not dropped.done()
        assert reader.execute("SELECT count(*) FROM r").fetchone() is not None
        reader.execute("COMMIT")
        assert dropped.result(10).statusmessage == f"DROP {kind}"
    assert lab.error("SELECT * FROM r").sqlstate == "42P01"


def test_a_drop_that_waits_too_long_says_for_what(lab: Lab) -> None:
    lab.run("CREATE TABLE t (a int)")
    with contextlib.closing(lab.another()) as writer:
        writer.execute("BEGIN")
        writer.execute("INSERT INTO t VALUES (1)")
        error = lab.error("DROP TABLE t")
        assert error.sqlstate == "55P03"
        assert "an open transaction of another client" in str(error)
        writer.execute("COMMIT")
    assert lab.rows("SELECT * FROM t") == [(1,)]
