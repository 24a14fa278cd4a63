"""SUBSCRIBE: what it tells adds up to the view at every time that it names."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.components.materialize.emulator.lab import Lab, eventually

pytestmark = pytest.mark.live

Row = tuple[Any, ...]


@pytest.fixture
def counts(lab: Lab) -> Lab:
    lab.run(
        "CREATE TABLE t (k text, v int)",
        "CREATE MATERIALIZED VIEW counts AS SELECT k, count(*) AS n FROM t GROUP BY k",
        "INSERT INTO t VALUES ('a', 1), ('a', 2), ('b', 1)",
    )
    return lab


@contextlib.contextmanager
def declared(lab: Lab, subscribe: str) -> Iterator[psycopg.Connection[Any]]:
    with contextlib.closing(lab.another()) as connection:
        connection.execute("BEGIN")
        connection.execute(f"DECLARE c CURSOR FOR SUBSCRIBE {subscribe}".encode())
        yield connection


def fetched(connection: psycopg.Connection[Any], what: str = "ALL c") -> list[Row]:
    return connection.execute(f"FETCH {what}".encode()).fetchall()


def fetched_until(connection: psycopg.Connection[Any], count: int) -> list[Row]:
    rows: list[Row] = []
    while len(rows) < count:
        rows += fetched(connection)
    return rows


def test_snapshot_then_changes(counts: Lab) -> None:
    with declared(counts, "counts") as cursor:
        snapshot = fetched(cursor)
        assert sorted(row[1:] for row in snapshot) == [(1, "a", 2), (1, "b", 1)]
        assert len({row[0] for row in snapshot}) == 1
        counts.run("DELETE FROM t WHERE k = 'b'", "INSERT INTO t VALUES ('a', 3)")
        told = fetched_until(cursor, 3)
        assert sorted(row[1:] for row in told) == [(-1, "a", 2), (-1, "b", 1), (1, "a", 3)]
        assert all(row[0] > snapshot[0][0] for row in told)


def test_without_snapshot_and_with_progress(counts: Lab) -> None:
    with declared(counts, "counts WITH (SNAPSHOT = false, PROGRESS)") as cursor:
        assert all(row[1:] == (True, None, None, None) for row in fetched(cursor))
        counts.run("INSERT INTO t VALUES ('c', 1)")
        told: list[Row] = []
        while not [row for row in told if not row[1]]:
            told += fetched(cursor)
        at = next(place for place, row in enumerate(told) if not row[1])
        assert told[at][1:] == (False, 1, "c", 1)
        assert told[at + 1][1]
        assert told[at + 1][0] > told[at][0]


def test_progress_comes_while_nothing_happens(counts: Lab) -> None:
    with declared(counts, "counts WITH (PROGRESS)") as cursor:
        times = [fetched(cursor)[-1][0] for _ in range(3)]
        assert times == sorted(set(times))


@pytest.mark.parametrize(
    "relation", ["mirror", "joined", "(SELECT k, count(*) AS n, sum(v) AS s FROM t GROUP BY k)", "t"]
)
def test_what_is_told_adds_up_at_every_progress(lab: Lab, relation: str) -> None:
    lab.run(
        "CREATE TABLE t (k int, v int)",
        "CREATE TABLE u (k int, name text)",
        "CREATE MATERIALIZED VIEW mirror WITH (RETAIN HISTORY FOR '1h') AS SELECT k, v FROM t",
        "CREATE MATERIALIZED VIEW joined AS SELECT t.v, u.name FROM t LEFT JOIN u USING (k)",
    )
    chance = random.Random(relation)
    query = relation if relation.startswith("(") else f"(SELECT * FROM {relation})"
    with declared(lab, f"{relation} WITH (PROGRESS)") as cursor:
        sums: Counter[Row] = Counter()
        for _ in range(12):
            for _ in range(chance.randint(1, 3)):
                lab.run(random_change(chance))
            now = int(lab.value("SELECT mz_now()::bigint")) + 1
            progress = 0
            while progress <= now:
                for row in fetched(cursor):
                    assert row[0] >= progress
                    if row[1]:
                        progress = row[0]
                    else:
                        sums[row[3:]] += row[2]
            assert +sums == Counter(lab.connection.execute(f"SELECT * FROM {query} AS q".encode()).fetchall())
            assert min(sums.values(), default=0) >= 0


def random_change(chance: random.Random) -> str:
    k, v = chance.randint(1, 3), chance.randint(1, 3)
    return chance.choice([
        f"INSERT INTO t VALUES ({k}, {v}), ({k}, {v})", f"INSERT INTO t VALUES ({k}, {v})",
        f"DELETE FROM t WHERE v = {v}",
        f"UPDATE t SET v = {v} WHERE k = {k}", f"INSERT INTO u VALUES ({k}, 'n{v}')", f"DELETE FROM u WHERE k = {k}",
    ])  # fmt: skip


def test_fetch_counts_and_waits(counts: Lab) -> None:
    with declared(counts, "counts") as cursor:
        assert [len(fetched(cursor, "1 c")), len(fetched(cursor, "FORWARD 5 FROM c"))] == [1, 1]
        started = time.monotonic()
        assert fetched(cursor, "ALL c WITH (timeout = '300ms')") == []
        assert 0.3 <= time.monotonic() - started < 5
        assert fetched(cursor, "1 c WITH (timeout = '0s')") == []
        counts.run("INSERT INTO t VALUES ('x', 1), ('y', 1)")
        # With a time-out, FETCH returns as soon as it has as many rows as it wants.
        started = time.monotonic()
        assert len(fetched(cursor, "2 c WITH (timeout = '30s')")) == 2
        assert time.monotonic() - started < 20


def test_fetch_prepared_and_in_binary(counts: Lab) -> None:
    with declared(counts, "counts") as connection:
        cursor = connection.cursor(binary=True)
        assert sorted(row[1:] for row in cursor.execute("FETCH ALL c").fetchall()) == [(1, "a", 2), (1, "b", 1)]
        for number in range(8):
            counts.run(f"INSERT INTO t VALUES ('new{number}', 1)")
            rows = cursor.execute("FETCH ALL c", prepare=number % 2 == 0).fetchall()
            assert [row[1:] for row in rows] == [(1, f"new{number}", 1)]


def test_envelope_upsert(counts: Lab) -> None:
    with declared(counts, "t ENVELOPE UPSERT (KEY (k)) WITH (PROGRESS)") as cursor:
        told = [row for row in fetched(cursor) if not row[1]]
        assert sorted(row[2:] for row in told) == [("key_violation", "a", None), ("upsert", "b", 1)]
    with declared(counts, "counts ENVELOPE UPSERT (KEY (k))") as cursor:
        assert sorted(row[1:] for row in fetched(cursor)) == [("upsert", "a", 2), ("upsert", "b", 1)]
        counts.run("INSERT INTO t VALUES ('a', 9)")
        assert [row[1:] for row in fetched(cursor)] == [("upsert", "a", 3)]
        counts.run("DELETE FROM t WHERE k = 'b'")
        assert [row[1:] for row in fetched(cursor)] == [("delete", "b", None)]


def test_envelope_upsert_tells_what_one_time_does_to_a_key(lab: Lab) -> None:
    lab.run("CREATE TABLE t (k int, v int)", "INSERT INTO t VALUES (1, 1), (2, 1), (2, 2), (3, 1)")
    with declared(lab, "t WITH (SNAPSHOT = false)") as plain, declared(lab, "t ENVELOPE UPSERT (KEY (k))") as cursor:
        assert len(fetched(cursor)) == 3
        # As in Materialize, each time is judged by itself: 1 gets a second row, and 2 loses both.
        for change, told in (
            ("UPDATE t SET v = 9 WHERE k = 3", ("upsert", 3, 9)),
            ("INSERT INTO t VALUES (1, 2)", ("upsert", 1, 2)),
            ("DELETE FROM t WHERE k = 2", ("key_violation", 2, None)),
            ("DELETE FROM t WHERE k = 3", ("delete", 3, None)),
            ("INSERT INTO t VALUES (4, 1), (4, 1)", ("key_violation", 4, None)),
        ):
            lab.run(change)
            assert [row[1:] for row in fetched(cursor)] == [told]
            fetched(plain)


def test_envelope_debezium(counts: Lab) -> None:
    with declared(counts, "counts ENVELOPE DEBEZIUM (KEY (k))") as cursor:
        assert sorted(row[1:] for row in fetched(cursor)) == [("insert", "a", None, 2), ("insert", "b", None, 1)]
        counts.run("INSERT INTO t VALUES ('a', 9)")
        assert [row[1:] for row in fetched(cursor)] == [("upsert", "a", 2, 3)]
        counts.run("DELETE FROM t WHERE k = 'b'")
        assert [row[1:] for row in fetched(cursor)] == [("delete", "b", 1, None)]


def test_within_timestamp_order_by(lab: Lab) -> None:
    lab.run("CREATE TABLE t (a int)", "INSERT INTO t SELECT generate_series(1, 50)")
    with declared(lab, "t WITHIN TIMESTAMP ORDER BY a DESC") as cursor:
        assert [row[2] for row in fetched(cursor)] == list(range(50, 0, -1))


def test_retained_history_is_told_again(lab: Lab) -> None:
    lab.run(
        "CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON",
        "ALTER SOURCE s SET (RETAIN HISTORY FOR '1h')",
        "CREATE MATERIALIZED VIEW v WITH (RETAIN HISTORY FOR '1h') AS SELECT count(*) AS n FROM s",
    )
    lab.send("s", 1)
    with declared(lab, "v WITH (PROGRESS)") as cursor:
        progress = int(fetched(cursor)[-1][0])
    lab.send("s", 2)
    lab.send("s", 3)
    assert lab.rows("SELECT * FROM v") == [(3,)]
    with declared(lab, f"s WITH (SNAPSHOT = false) AS OF {progress - 1}") as cursor:
        assert [row[2] for row in fetched_until(cursor, 2)] == [2, 3]
    with declared(lab, f"v WITH (SNAPSHOT = false) AS OF {progress - 1}") as cursor:
        told = fetched(cursor)
        assert all(row[0] >= progress for row in told)
        assert sum(row[1] * row[2] for row in told) == 2
    with declared(lab, f"v AS OF {progress - 1} UP TO {progress}") as cursor:
        assert fetched(cursor) == [(progress - 1, 1, 1)]
        assert fetched(cursor) == []


def test_a_past_that_is_gone_is_refused(counts: Lab) -> None:
    with contextlib.closing(counts.another()) as other:
        other.execute("BEGIN")
        with pytest.raises(psycopg.Error, match=r"Timestamp \(5\) is not valid for all inputs"):
            other.execute("DECLARE c CURSOR FOR SUBSCRIBE counts AS OF 5")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            other.execute("SELECT 1")


def test_up_to_ends_a_stream(counts: Lab) -> None:
    end = int(counts.value("SELECT mz_now()::bigint")) + 1500
    with contextlib.closing(counts.another()) as connection:
        with connection.cursor().copy(f"COPY (SUBSCRIBE counts UP TO {end}) TO STDOUT".encode()) as copy:
            counts.run("INSERT INTO t VALUES ('z', 1)")
            lines = b"".join(bytes(block) for block in copy).splitlines()
        told = [line.split(b"\t")[1:] for line in lines]
        assert sorted(told[:2]) == [[b"1", b"a", b"2"], [b"1", b"b", b"1"]]
        assert told[2:] == [[b"1", b"z", b"1"]]
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_stream_is_cancelled(counts: Lab) -> None:
    seen: list[Row] = []
    with contextlib.closing(counts.another()) as connection:

        def read() -> None:
            try:
                for row in connection.cursor().stream("SUBSCRIBE counts"):
                    seen.append(row[1:])
            except psycopg.errors.QueryCanceled:
                seen.append(("cancelled",))

        thread = threading.Thread(target=read)
        thread.start()
        eventually(lambda: len(seen) == 2)
        counts.run("INSERT INTO t VALUES ('z', 1)")
        eventually(lambda: (1, "z", 1) in seen)
        connection.cancel_safe()
        thread.join(20)
        assert seen[-1] == ("cancelled",)
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_fetch_is_cancelled(counts: Lab) -> None:
    with declared(counts, "counts") as connection:
        fetched(connection)
        threading.Timer(0.3, connection.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            fetched(connection)
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_dropped_view_ends_its_subscriptions(counts: Lab) -> None:
    counts.run("CREATE DEFAULT INDEX ON counts")
    with declared(counts, "counts") as connection:
        fetched(connection)
        counts.run("DROP MATERIALIZED VIEW counts")
        with pytest.raises(psycopg.Error, match="was dropped"):
            fetched(connection)


def test_a_poisoned_view_ends_its_subscriptions(lab: Lab) -> None:
    lab.run("CREATE TABLE t (x text)", "CREATE MATERIALIZED VIEW v AS SELECT x::int AS x FROM t")
    lab.run("INSERT INTO t VALUES ('1')")
    with declared(lab, "v") as connection:
        fetched(connection)
        lab.run("INSERT INTO t VALUES ('one')")
        with pytest.raises(psycopg.Error, match="invalid input syntax for type integer") as failure:
            fetched(connection)
        assert failure.value.diag.message_detail == f'The row of materialize.{lab.schema}.t is {{"x": "one"}}'


def test_a_poisoned_view_ends_a_copy_with_the_row(lab: Lab) -> None:
    lab.run("CREATE TABLE t (x text)", "CREATE MATERIALIZED VIEW v AS SELECT x::int AS x FROM t")
    lab.run("INSERT INTO t VALUES ('1')")

    def follow(connection: psycopg.Connection[Any]) -> None:
        sql = b"COPY (SUBSCRIBE v ENVELOPE UPSERT (KEY (x)) WITH (SNAPSHOT, PROGRESS)) TO STDOUT"
        with connection.cursor().copy(sql) as copy:
            for block in copy:
                if b"upsert" in bytes(block):
                    lab.run("INSERT INTO t VALUES ('one')")

    with contextlib.closing(lab.another()) as connection:
        with pytest.raises(psycopg.Error) as failure:
            follow(connection)
        assert failure.value.diag.message_detail == f'The row of materialize.{lab.schema}.t is {{"x": "one"}}'
        assert lab.error("SELECT * FROM v").sqlstate == "22P02"


def test_who_reads_a_view_does_not_keep_it_from_failing_and_recovering(lab: Lab) -> None:
    lab.run("CREATE TABLE t (x text)", "CREATE MATERIALIZED VIEW v AS SELECT x::int AS x FROM t")
    lab.run("CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t", "INSERT INTO t VALUES ('1')")
    with contextlib.closing(lab.another()) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT * FROM v").fetchall() == [(1,)]
        started = time.monotonic()
        lab.run("INSERT INTO t VALUES ('one')")
        assert lab.rows("SELECT * FROM n") == [(2,)]
        assert lab.error("SELECT * FROM v").sqlstate == "22P02"
        lab.run("DELETE FROM t WHERE x = 'one'")
        assert lab.rows("SELECT * FROM v") == [(1,)]
        assert time.monotonic() - started < 4
        assert reader.execute("SELECT * FROM v").fetchall() == [(1,)]


def test_rules_of_transactions(counts: Lab) -> None:
    with contextlib.closing(counts.another()) as connection:
        with pytest.raises(psycopg.errors.NoActiveSqlTransaction):
            connection.execute("DECLARE c CURSOR FOR SUBSCRIBE counts")
        connection.execute("BEGIN")
        connection.execute("SELECT 1")
        with pytest.raises(psycopg.Error, match="must be the only read statement"):
            connection.execute("DECLARE c CURSOR FOR SUBSCRIBE counts")


def test_a_client_that_does_not_read_stops_nobody(lab: Lab) -> None:
    lab.run("CREATE TABLE t (a int, b text)", "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t")
    lab.run("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 20000) g")
    with contextlib.closing(lab.another()) as connection:
        rows = connection.cursor().stream("SUBSCRIBE t")
        next(iter(rows))
        # 20 MB are on their way to a client that rests.
        for number in range(1, 6):
            lab.run("INSERT INTO t VALUES (0, '')")
            assert lab.rows("SELECT n FROM n") == [(20_000 + number,)]
        # Closing the socket first, since the driver would read to the end of the rows.
        with socket.socket(fileno=connection.pgconn.socket) as raw:
            raw.shutdown(socket.SHUT_RDWR)
            raw.detach()


def test_a_client_that_vanishes_leaves_nothing(counts: Lab) -> None:
    hidden = "SELECT count(*) FROM pg_class WHERE relnamespace = 'mz_emulator'::regnamespace AND relname LIKE '%\\_def'"
    before = counts.value(hidden)
    with declared(counts, "(SELECT k FROM t)") as connection:
        fetched(connection)
        assert counts.value(hidden) == before + 1
        with socket.socket(fileno=connection.pgconn.socket) as raw:
            raw.shutdown(socket.SHUT_RDWR)
            raw.detach()
        eventually(lambda: counts.value(hidden) == before)
