"""Views with temporal filters: equal to their query at every moment, though rows come and go by themselves."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
from tests.components.materialize.emulator.lab import Lab, eventually
from tests.components.materialize.emulator_process import running_emulator

pytestmark = pytest.mark.live

# The moments at which rows begin or end to count are this far apart: between them the views hold still.
GRID_MS = 1000
TYPED = (
    "CREATE VIEW typed AS SELECT (body->>'id')::int AS id, body->>'k' AS k, (body->>'v')::int AS v, "
    "(body->>'at')::bigint AS at, to_timestamp((body->>'at')::bigint / 1000.0) AS ts FROM raw "
    "WHERE body->>'at' <> 'none'"
)
ENDS = "mz_now() <= (body->>'at')::bigint + 2000"
# Each of these is kept in another way: as it changes, or computed from the rows that its filters leave, or from all.
QUERIES = {
    "plain": f"SELECT body->>'k' AS k, (body->>'v')::int AS v FROM raw WHERE body->>'at' <> 'none' AND {ENDS}",
    "ahead": "SELECT id, v FROM typed WHERE mz_now() >= ts AND mz_now() < ts + INTERVAL '3 seconds'",
    "begun": "SELECT k, count(*) AS n FROM typed WHERE ts <= mz_now() GROUP BY k",
    "shortest": "SELECT id FROM typed WHERE mz_now() <= ts + INTERVAL '5 seconds' AND at + v * 1000 > mz_now()",
    "last": "SELECT DISTINCT ON (k) k, at, id, v FROM typed WHERE mz_now() <= ts + INTERVAL '2 seconds' "
    "ORDER BY k, at DESC, id, v",
    "grouped": "SELECT k, count(*) AS n, sum(v) AS s, max(v) AS m FROM typed WHERE at + 4000 >= mz_now() GROUP BY k",
    "total": "SELECT count(*) AS n, min(v) AS m FROM typed WHERE mz_now() <= ts + INTERVAL '2 seconds'",
    "joined": "SELECT t.id, d.name FROM typed t JOIN dims d ON d.k = t.k WHERE mz_now() <= t.ts + INTERVAL '2 seconds'",
    "paired": "SELECT a.id, b.id AS other FROM typed a JOIN typed b ON a.k = b.k AND a.v < b.v "
    "WHERE mz_now() <= a.ts + INTERVAL '2 seconds' AND mz_now() <= b.ts + INTERVAL '3 seconds'",
    "optional": "SELECT d.name, t.id FROM dims d LEFT JOIN typed t ON d.k = t.k AND mz_now() <= t.ts",
    "dims_left": "SELECT t.id, d.name FROM typed t LEFT JOIN dims d USING (k) "
    "WHERE mz_now() <= t.ts + INTERVAL '1 second'",
    "ranked": "SELECT id, v, rank() OVER (ORDER BY v, id) AS r FROM typed WHERE mz_now() <= ts + INTERVAL '2 seconds'",
    "named": "WITH recent AS (SELECT * FROM typed WHERE mz_now() <= ts + INTERVAL '2 seconds') "
    "SELECT k, array_agg(id ORDER BY id, v) AS ids FROM recent GROUP BY k",
    "either": "SELECT id, v FROM typed WHERE mz_now() <= ts OR v > 7",
    "two_filters": "SELECT id, v FROM typed WHERE mz_now() <= ts + INTERVAL '2 seconds' AND (mz_now() <= ts OR v > 5)",
    "united": "SELECT k, v FROM typed WHERE mz_now() <= ts UNION ALL SELECT k, x FROM facts WHERE mz_now() <= until",
    "facts_now": "SELECT k, x FROM facts WHERE mz_now() <= until AND mz_now() >= until - INTERVAL '2 seconds'",
    "facts_grouped": "SELECT k, count(*) AS n, max(x) AS m FROM facts WHERE until >= mz_now() GROUP BY k",
    "inside": "SELECT k, n FROM (SELECT k, v + 1 AS n, ts FROM typed UNION ALL SELECT k, x, until FROM facts) AS u "
    "WHERE mz_now() <= ts + INTERVAL '1 second'",
    "existing": "SELECT k FROM facts WHERE EXISTS (SELECT FROM typed t WHERE t.k = facts.k AND mz_now() <= t.ts)",
    # Over others of them.
    "above_last": "SELECT k, v FROM last WHERE mz_now() <= to_timestamp(at / 1000.0)",
    "above_grouped": "SELECT sum(n) AS n, max(m) AS m FROM grouped",
}


def make(lab: Lab) -> None:
    lab.run(
        "CREATE SOURCE raw FROM WEBHOOK BODY FORMAT JSON",
        "CREATE TABLE dims (k text, name text)",
        "CREATE TABLE facts (k text, x int, until timestamptz)",
        TYPED,
    )
    lab.make_views(QUERIES)


def on_grid(steps: int) -> int:
    """A moment in milliseconds at which rows may begin or end to count."""
    return (int(time.time() * 1000) // GRID_MS + steps) * GRID_MS


def random_steps(lab: Lab, chance: random.Random) -> list[Callable[[], None]]:
    def event() -> dict[str, object]:
        at = "none" if chance.random() < 0.1 else on_grid(chance.choice([-3600, -4, -3, -2, -1, 0, 0, 1, 2, 3]))
        return {"id": chance.randint(1, 9), "k": chance.choice("abc"), "v": chance.randint(0, 9), "at": at}

    def send() -> None:
        lab.send("raw", *[event() for _ in range(chance.randint(1, 4))])

    def insert() -> None:
        row = [chance.choice("abc"), chance.randint(0, 9), on_grid(chance.randint(-2, 4)) / 1000]
        for _ in range(chance.randint(1, 2)):
            lab.connection.execute("INSERT INTO facts VALUES (%s, %s, to_timestamp(%s))", row)

    return [
        send, send, send, insert, insert,
        lambda: lab.run(f"DELETE FROM facts WHERE k = '{chance.choice('abc')}' AND x > {chance.randint(3, 9)}"),
        lambda: lab.run("UPDATE facts SET x = x + 1, until = until + INTERVAL '1 second' WHERE x < 4"),
        lambda: lab.run(f"INSERT INTO dims VALUES ('{chance.choice('abc')}', '{chance.choice('xyz')}')"),
        lambda: lab.run(f"DELETE FROM dims WHERE k = '{chance.choice('abc')}'"),
    ]  # fmt: skip


def differing(lab: Lab) -> list[str]:
    """The views that are not their queries."""
    return [name for name in QUERIES if lab.rows(f"SELECT * FROM {name}") != lab.rows(f"SELECT * FROM {name}_query")]


def assert_equal(lab: Lab) -> None:
    eventually(lambda: differing(lab) == [])


def let_a_moment_pass() -> None:
    """Wait for the next moment of the grid."""
    following = on_grid(1)
    eventually(lambda: on_grid(0) >= following)


def test_a_temporal_view_is_its_query_at_any_moment(tmp_path: Path) -> None:
    chance = random.Random(1)
    for is_made in (False, True):
        with (
            running_emulator(tmp_path / "data") as emulator,
            psycopg.connect(emulator.conninfo, autocommit=True) as connection,
            httpx.Client(base_url=emulator.http_url) as http,
        ):
            lab = Lab(emulator, "public", connection, http)
            if not is_made:
                make(lab)
            assert_equal(lab)
            steps = random_steps(lab, chance)
            for number in range(7):
                # In the end nothing but time changes anything.
                for _ in range(chance.randint(1, 4) if number < 4 else 0):
                    chance.choice(steps)()
                assert_equal(lab)
                let_a_moment_pass()
            # What comes last is not in the views yet when the emulator stops.
            lab.send("raw", *[{"id": 1, "k": "a", "v": at, "at": on_grid(at)} for at in range(6)])
            assert lab.log_lines("cannot be followed") == []


def test_old_rows_are_not_read_again(lab: Lab) -> None:
    lab.run("CREATE SOURCE raw FROM WEBHOOK BODY FORMAT JSON", "CREATE TABLE dims (k text, name text)", TYPED)
    old = [{"id": number, "k": "a", "v": 1, "at": on_grid(-3600)} for number in range(2000)]
    lab.send("raw", *old)
    names = ["plain", "ahead", "last", "grouped", "joined", "paired", "ranked", "named", "two_filters", "above_last"]
    for name in names:
        lab.run(f"CREATE MATERIALIZED VIEW {name} AS {QUERIES[name]}")
    source_id = lab.value(
        "SELECT o.id FROM mz_objects o JOIN mz_schemas s ON s.id = o.schema_id "
        f"WHERE o.name = 'raw' AND s.name = '{lab.schema}'"
    )

    def reads(what: str) -> int:
        return int(lab.value(f"SELECT {what} FROM pg_stat_all_tables WHERE relname = '{source_id}'"))

    def is_read_no_more() -> bool:
        # What was read is told up to a second later.
        before = reads("seq_tup_read")
        let_a_moment_pass()
        let_a_moment_pass()
        return reads("seq_tup_read") == before > 0

    eventually(is_read_no_more)
    lookups, whole = reads("idx_scan"), reads("seq_tup_read")
    for number in range(3):
        lab.send("raw", {"id": number, "k": "b", "v": 2, "at": on_grid(0)})
        assert lab.value("SELECT count(*) > 0 FROM plain")
        let_a_moment_pass()
    eventually(lambda: lab.value("SELECT count(*) FROM plain") == 0)
    eventually(lambda: reads("idx_scan") >= lookups + 3)
    assert reads("seq_tup_read") == whole


def test_a_row_at_fault_is_named_and_forgotten_when_its_time_has_passed(lab: Lab) -> None:
    lab.run(
        "CREATE SOURCE raw FROM WEBHOOK BODY FORMAT JSON",
        "CREATE MATERIALIZED VIEW v AS SELECT (body->>'v')::int AS v FROM raw "
        "WHERE mz_now() <= (body->>'at')::bigint + 1500",
    )
    lab.send("raw", {"v": 1, "at": on_grid(-3600)}, {"v": 2, "at": on_grid(3600)})
    assert lab.rows("SELECT * FROM v") == [(2,)]
    lab.send("raw", {"v": "three", "at": on_grid(0)})
    error = lab.error("SELECT * FROM v")
    assert error.sqlstate == "22P02"
    assert '"v": "three"' in (error.diag.message_detail or "")
    eventually(lambda: lab.value("SELECT count(*) FROM mz_internal.mz_emulator_errors WHERE name = 'v'") == 0)
    assert lab.rows("SELECT * FROM v") == [(2,)]
    lab.send("raw", {"v": 4, "at": "never"})
    error = lab.error("SELECT * FROM v")
    assert error.sqlstate == "22P02"
    assert '"at": "never"' in (error.diag.message_detail or "")
