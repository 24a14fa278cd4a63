"""Materialized views: equal to their query at every moment, whatever changes below them."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.components.materialize.emulator.lab import Lab, eventually

pytestmark = pytest.mark.live

EVENTS = (
    "CREATE VIEW e AS SELECT (body->>'id')::int AS id, (body->>'k')::int AS k, (body->>'v')::int AS v, body->>'s' AS s "
    "FROM events WHERE body->>'k' IS NOT NULL"
)
# Each of these is followed by another part of the incremental plans, or by none of them.
QUERIES = {
    "filtered": "SELECT id, v * 2 AS d FROM e WHERE v > 3",
    "joined": "SELECT e.id, e.v, d.name FROM e JOIN dims d ON e.k = d.k",
    "left_joined": "SELECT e.id, e.v, d.name FROM e LEFT JOIN dims d USING (k)",
    "self_joined": "SELECT a.k, b.v FROM facts a JOIN facts b ON a.k = b.k AND a.v < b.v",
    "counted": "SELECT k, count(*), sum(v), avg(v), count(v) FILTER (WHERE v > 5) AS big FROM e GROUP BY k",
    "retracted": (
        "SELECT k, count(*), sum(v), avg(v), count(b) FILTER (WHERE b) AS yes, round(avg(v), 2) AS r FROM facts "
        "GROUP BY k HAVING count(*) > 1"
    ),
    "least": "SELECT k, min(v) AS low, max(v) AS high FROM facts GROUP BY k",
    "everything_least": "SELECT min(v) AS low, max(v) FILTER (WHERE b) AS high, sum(v::float8 / 4) AS f FROM facts",
    "everything": "SELECT count(*) AS n, sum(v) AS s, max(v) AS m FROM e",
    "everything_retracted": "SELECT count(*) AS n, sum(v) AS s FROM facts",
    "distinct_rows": "SELECT DISTINCT k, s FROM e",
    "distinct_retracted": "SELECT DISTINCT k FROM facts",
    "last_of_facts": "SELECT DISTINCT ON (k) k, v, b FROM facts ORDER BY k, v DESC, b",
    "first_of_each": "SELECT DISTINCT ON (id) id, v, s FROM e ORDER BY id, v DESC, s",
    "grouped_join": "SELECT d.name, count(*) AS n, sum(e.v) AS s FROM e JOIN dims d ON d.k = e.k GROUP BY d.name",
    "united": "SELECT id, v FROM e WHERE v > 5 UNION ALL SELECT k, v::int FROM facts",
    "ranked": "SELECT k, v, rank() OVER (PARTITION BY k ORDER BY v, b) AS r FROM facts",
    "existing": "SELECT * FROM facts WHERE EXISTS (SELECT 1 FROM dims WHERE dims.k = facts.k)",
    "computed_keys": (
        "SELECT v % 3 AS m, upper(s) AS u, count(*) + 1 AS n, coalesce(sum(v), 0) AS sv, "
        "CASE WHEN count(*) > 2 THEN 'many' ELSE 'few' END AS c FROM e GROUP BY v % 3, upper(s)"
    ),
    "listed": "SELECT k, string_agg(s, ',' ORDER BY s) AS ss FROM e GROUP BY k",
    "distinct_counted": "SELECT k, count(DISTINCT v) AS dv FROM e GROUP BY k",
    "three_joined": "SELECT d.name, f.v, e.v AS ev FROM dims d LEFT JOIN facts f ON f.k = d.k LEFT JOIN e ON e.k = d.k",
    "unfolded": "SELECT e.id, x.x FROM e, generate_series(1, e.k) AS x (x)",
    "limited": "SELECT id, v FROM e ORDER BY v DESC NULLS LAST, id, s LIMIT 3",
    # Over others of them, from which rows go whatever happens.
    "least_of_all": "SELECT min(low) AS low, max(high) AS high, count(*) AS n FROM least",
    "first_counted": "SELECT DISTINCT ON (count) count, k, sum FROM counted ORDER BY count, sum DESC NULLS LAST, k",
    "by_letter": (
        "SELECT s, count(*) AS n, max(v) AS v, min(v) FILTER (WHERE id > 3) AS low FROM first_of_each GROUP BY s"
    ),
    "newest": "SELECT max(id) AS id FROM first_of_each WHERE v > 2",
    "renamed": "SELECT o.k, o.v FROM facts AS o (v, k)",
    "recent": "SELECT f.id, f.v FROM first_of_each f JOIN newest ON f.id > newest.id - 5",
    "above": (
        "SELECT k, sum(n) AS n FROM (SELECT k, count AS n FROM counted "
        "UNION ALL SELECT k, yes FROM retracted) AS u GROUP BY k"
    ),
}


def make(lab: Lab) -> None:
    lab.run(
        "CREATE SOURCE events FROM WEBHOOK BODY FORMAT JSON",
        "CREATE TABLE dims (k int, name text)",
        "CREATE TABLE facts (k int, v numeric, b bool)",
        EVENTS,
    )
    lab.make_views(QUERIES)


def random_steps(lab: Lab, chance: random.Random) -> list[Callable[[], None]]:
    def send() -> None:
        lab.send("events", *[
            {
                "id": chance.randint(1, 20), "k": chance.choice([1, 2, 3, None]),
                "v": chance.choice([None, *range(10)]), "s": chance.choice("abc"),
            }
            for _ in range(chance.randint(1, 4))
        ])  # fmt: skip

    def insert() -> None:
        row = [chance.choice([1, 2, 3, None]), chance.randint(0, 9), chance.choice([True, False, None])]
        lab.connection.execute("INSERT INTO facts VALUES (%s, %s, %s), (%s, %s, %s)", [*row, *row])

    def copy() -> None:
        with lab.connection.cursor().copy("COPY facts FROM STDIN") as copying:
            for _ in range(3):
                copying.write_row([chance.randint(1, 3), chance.randint(0, 9), None])

    return [
        send, send, send, insert, insert, copy,
        lambda: lab.run(f"DELETE FROM facts WHERE k = {chance.randint(1, 3)} AND v > {chance.randint(3, 9)}"),
        lambda: lab.run(f"UPDATE facts SET v = v + 1 WHERE k = {chance.randint(1, 3)}"),
        lambda: lab.run(f"INSERT INTO dims VALUES ({chance.randint(1, 3)}, '{chance.choice('xyz')}')"),
        lambda: lab.run(f"DELETE FROM dims WHERE k = {chance.randint(1, 3)}"),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_a_view_is_its_query_after_any_changes(lab: Lab, seed: int) -> None:
    make(lab)
    chance = random.Random(seed)
    steps = random_steps(lab, chance)
    for number in range(12):
        for _ in range(chance.randint(1, 4)):
            chance.choice(steps)()
        for name in QUERIES:
            # Asked directly, PostgreSQL answers; the view has to be there already, or the question waits for it.
            view, query = lab.rows(f"SELECT * FROM {name}"), lab.rows(f"SELECT * FROM {name}_query")
            assert view == query, f"{name} after step {number}"
    assert lab.log_lines("cannot be followed") == []


def test_float_sums_follow_to_the_last_digits(lab: Lab) -> None:
    lab.run(
        "CREATE TABLE f (k int, w float8)", "CREATE MATERIALIZED VIEW s AS SELECT k, sum(w), avg(w) FROM f GROUP BY k"
    )
    for at in range(10):
        lab.run(f"INSERT INTO f VALUES ({at % 2}, {at} / 7.0)")
    lab.run("DELETE FROM f WHERE w > 1")
    found, wanted = lab.rows("SELECT * FROM s"), lab.rows("SELECT k, sum(w), avg(w) FROM f GROUP BY k")
    assert [row[0] for row in found] == [row[0] for row in wanted]
    assert [row[1:] for row in found] == [pytest.approx(row[1:]) for row in wanted]


def test_views_are_joined_by_keys_of_any_length(lab: Lab) -> None:
    lab.run(
        "CREATE TABLE t (k text, v int)",
        "CREATE MATERIALIZED VIEW m AS SELECT DISTINCT ON (k, v) k, v FROM t ORDER BY k, v",
        "CREATE MATERIALIZED VIEW j AS SELECT a.v FROM m a JOIN m b ON a.k = b.k AND a.v = b.v + 1",
        "INSERT INTO t VALUES ('short', 1), ('short', 2)",
        "INSERT INTO t SELECT string_agg(md5(g::text), ''), v FROM generate_series(1, 1000) g, generate_series(5, 6) v "
        "GROUP BY v",
    )
    assert lab.rows("SELECT * FROM j") == [(2,), (6,)]
    lab.run("DELETE FROM t WHERE v = 5")
    assert lab.rows("SELECT * FROM j") == [(2,)]
    assert lab.log_lines("cannot be followed") == []


def test_what_is_committed_is_seen_by_the_next_query(lab: Lab) -> None:
    lab.run(
        "CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON", "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM s"
    )
    with lab.another() as reader:
        for wanted in range(1, 20):
            lab.send("s", wanted)
            row = reader.execute("SELECT n FROM n").fetchone()
            assert row == (wanted,)


def test_a_cast_that_fails_poisons_its_view_and_no_other(lab: Lab) -> None:
    lab.run(
        "CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON",
        "CREATE MATERIALIZED VIEW bad AS SELECT (body->>'price')::float8 AS price FROM s",
        "CREATE MATERIALIZED VIEW above AS SELECT sum(price) AS total FROM bad",
        "CREATE MATERIALIZED VIEW good AS SELECT count(*) AS n FROM s",
    )
    lab.send("s", {"price": "1.5", "id": 1})
    assert lab.rows("SELECT * FROM above") == [(1.5,)]
    lab.send("s", {"price": "2.5", "id": 2}, {"price": "n/a", "id": 3}, {"price": "4", "id": 4})
    error = lab.error("SELECT * FROM bad")
    assert error.sqlstate == "22P02"
    assert 'Evaluation error: invalid input syntax for type double precision: "n/a"' in str(error)
    assert '"id": 3' in (error.diag.message_detail or "")
    assert lab.error("SELECT * FROM above").sqlstate == "22P02"
    assert lab.rows("SELECT * FROM good") == [(4,)]
    assert 'double precision: "n/a"' in lab.value("SELECT error FROM mz_internal.mz_emulator_errors WHERE name = 'bad'")
    lab.send("s", {"price": "1", "id": 5})
    assert lab.rows("SELECT * FROM good") == [(5,)]
    lab.run("DROP MATERIALIZED VIEW bad CASCADE")


def test_a_poisoned_view_recovers_when_the_row_goes(lab: Lab) -> None:
    lab.run(
        "CREATE TABLE t (x text)",
        "CREATE MATERIALIZED VIEW v AS SELECT x::int AS x FROM t",
        "INSERT INTO t VALUES ('1')",
    )
    lab.run("INSERT INTO t VALUES ('one')")
    assert lab.error("SELECT * FROM v").sqlstate == "22P02"
    lab.run("INSERT INTO t VALUES ('2')", "DELETE FROM t WHERE x = 'one'")
    assert lab.rows("SELECT * FROM v") == [(1,), (2,)]


def test_a_view_over_a_bad_row_is_made_all_the_same(lab: Lab) -> None:
    lab.run(
        "CREATE TABLE t (x text)",
        "INSERT INTO t VALUES ('one')",
        "CREATE MATERIALIZED VIEW v AS SELECT x::int AS x FROM t",
    )
    assert lab.error("SELECT * FROM v").sqlstate == "22P02"
    lab.run("DELETE FROM t")
    assert lab.rows("SELECT * FROM v") == []


def test_a_temporal_filter_lets_rows_go_as_time_passes(lab: Lab) -> None:
    lab.run(
        "CREATE TABLE t (x int, at timestamptz)",
        "CREATE MATERIALIZED VIEW v AS SELECT x FROM t WHERE mz_now() <= at + INTERVAL '2 seconds' AND mz_now() >= at",
        "INSERT INTO t VALUES (1, now()), (2, now() + interval '1.5 seconds'), (3, now() - interval '1 hour')",
    )
    assert lab.rows("SELECT * FROM v") == [(1,)]
    eventually(lambda: lab.rows("SELECT * FROM v") in ([(1,), (2,)], [(2,)]))
    eventually(lambda: lab.rows("SELECT * FROM v") == [])


def test_functions_of_materialize(lab: Lab) -> None:
    assert lab.value("SELECT try_parse_monotonic_iso8601_timestamp('2024-02-30T00:00:00.000Z')") is None
    assert (
        str(lab.value("SELECT try_parse_monotonic_iso8601_timestamp('2024-02-29T01:02:03.004Z')"))
        == "2024-02-29 01:02:03.004000"
    )
    assert lab.value("SELECT mz_now() <= now() + interval '1 second'")
    assert lab.value("SELECT 7::uint8 + 1") == 8
    assert lab.error("SELECT (-1)::uint4").sqlstate == "23514"
    assert lab.value("SELECT datediff('hour', timestamp '2024-01-01 00:59', timestamp '2024-01-01 03:00')") == 3
    assert str(lab.value("SELECT 1700000000000::mz_timestamp::timestamptz")).startswith("2023-11-14 22:13:20")


def test_an_index_changes_no_answer(lab: Lab) -> None:
    lab.run(
        "CREATE TABLE t (a int, b text)",
        "CREATE VIEW v AS SELECT a + 1 AS a, b FROM t",
        "CREATE MATERIALIZED VIEW m AS SELECT a, b FROM v",
        "CREATE INDEX i ON v (a)",
        "CREATE DEFAULT INDEX ON m",
        "CREATE INDEX ON t (lower(b))",
        "INSERT INTO t VALUES (1, 'X')",
    )
    assert lab.rows("SELECT * FROM m WHERE a = 2") == lab.rows("SELECT * FROM v WHERE a = 2") == [(2, "X")]
    assert [row[:2] for row in lab.rows("SHOW INDEXES")] == [
        ("i", "v"),
        ("m_primary_idx", "m"),
        ("t_lower(b)_idx", "t"),
    ]
    lab.run("DROP INDEX i")


def test_nothing_is_lost_between_writers_and_ticks(lab: Lab) -> None:
    lab.run(
        "CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON",
        "CREATE TABLE t (a int)",
        "CREATE MATERIALIZED VIEW n AS SELECT body->>'w' AS w, count(*) AS n FROM s GROUP BY 1",
        "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t",
    )

    def write(writer: int) -> None:
        with httpx.Client(base_url=lab.emulator.http_url) as http, lab.another() as connection:
            for number in range(1, 41):
                answer = http.post(f"/api/webhook/materialize/{lab.schema}/s", content=b'{"w": %d}' % writer)
                assert answer.status_code == 200
                connection.execute("INSERT INTO t VALUES (1)")
                found = connection.execute("SELECT n FROM n WHERE w = %s", [str(writer)]).fetchone()
                assert found == (number,)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert lab.rows("SELECT * FROM n") == [(str(writer), 40) for writer in range(4)]
    assert lab.rows("SELECT * FROM m") == [(160,)]
