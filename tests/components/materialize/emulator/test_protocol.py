"""The PostgreSQL protocol, as drivers and tools speak it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path

import asyncpg
import psycopg
import pytest
from tests.components.materialize.emulator.lab import Lab, eventually

from thedata_cli.components.materialize.emulator.postgres_programs import programs

pytestmark = pytest.mark.live


def psql(lab: Lab, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(programs(account=None) / "psql"), "-X", "-v", "ON_ERROR_STOP=1", lab.emulator.conninfo, *arguments]
    environment = os.environ | {"PGOPTIONS": f"--search_path={lab.schema}"}
    return subprocess.run(
        command, input=stdin, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_psql_runs_a_file_of_views_as_it_is(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "views.sql"
    file.write_text(
        "-- what the project has\nCREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON;\n"
        "CREATE MATERIALIZED VIEW n AS\n  SELECT count(*) AS n FROM s;\nCREATE DEFAULT INDEX ON n;\n"
    )
    done = psql(lab, "-f", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[:3] == ["CREATE SOURCE", "CREATE MATERIALIZED VIEW", "CREATE INDEX"]
    failed = psql(lab, "-c", "SELECT nothing")
    assert failed.returncode == 1
    assert 'column "nothing" does not exist\nLINE 1: SELECT nothing' in failed.stderr


def test_psql_describes(lab: Lab) -> None:
    lab.run("CREATE TABLE t (a int)")
    for command in (r"\d", r"\dt", r"\dv", r"\d t", r"\l", r"\dn", r"\df mz_*", r"\conninfo"):
        done = psql(lab, "-c", command)
        assert (done.returncode, done.stderr) == (0, ""), command


def test_psql_copies_both_ways(lab: Lab) -> None:
    lab.run("CREATE TABLE t (a int, b text)", "CREATE MATERIALIZED VIEW v AS SELECT sum(a) AS s FROM t")
    done = psql(lab, "-c", "COPY t FROM STDIN WITH (FORMAT csv)", stdin='1,x\n2,"y,z"\n')
    assert done.stdout == "COPY 2\n"
    assert lab.rows("SELECT * FROM v") == [(3,)]
    assert psql(lab, "-c", "COPY (SELECT b FROM t ORDER BY a) TO STDOUT").stdout == "x\ny,z\n"
    failed = psql(lab, "-c", "COPY t FROM STDIN", stdin="no\n")
    assert "invalid input syntax" in failed.stderr
    assert lab.rows("SELECT * FROM v") == [(3,)]


def test_many_statements_in_one_message(lab: Lab) -> None:
    done = psql(lab, "-c", "CREATE TABLE t (a int); INSERT INTO t VALUES (1); SELECT a FROM t; SHOW TABLES;")
    assert done.stdout.startswith("CREATE TABLE\nINSERT 0 1\n")
    assert " t    | " in done.stdout
    failed = psql(lab, "-c", "SELECT 1; FROB; SELECT 2;")
    assert "Expected a keyword at the beginning of a statement" in failed.stderr


def test_tls_is_refused_politely(lab: Lab) -> None:
    with socket.create_connection((lab.emulator.host, lab.emulator.sql_port)) as raw:
        for code in (80877103, 80877104):
            raw.sendall(struct.pack("!II", 8, code))
            assert raw.recv(1) == b"N"
    with pytest.raises(psycopg.OperationalError, match="SSL"):
        psycopg.connect(lab.emulator.conninfo + " sslmode=require")
    psycopg.connect(lab.emulator.conninfo + " sslmode=prefer").close()


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x04", struct.pack("!II", 8, 1 << 16), b"\xff" * 64]
)
def test_junk_is_answered_with_an_end(lab: Lab, junk: bytes) -> None:
    with socket.create_connection((lab.emulator.host, lab.emulator.sql_port)) as raw:
        raw.settimeout(10)
        raw.sendall(junk)
        raw.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while raw.recv(1000):
                pass
    assert lab.value("SELECT 1") == 1


def test_unknown_databases_and_any_user(lab: Lab) -> None:
    with pytest.raises(psycopg.OperationalError, match="unknown database 'other'"):
        psycopg.connect(lab.emulator.conninfo.replace("dbname=materialize", "dbname=other"))
    psycopg.connect(lab.emulator.conninfo.replace("user=materialize", "user=anybody")).close()


def test_options_of_the_connection(lab: Lab) -> None:
    options = "options='--cluster=ingest -c search_path=other'"
    with contextlib.closing(psycopg.connect(f"{lab.emulator.conninfo} {options}")) as connection:
        assert connection.execute("SHOW cluster").fetchone() == ("ingest",)
        assert connection.execute("SHOW search_path").fetchone() == ("other",)
        assert connection.info.parameter_status("cluster") == "ingest"


def test_prepared_and_binary(lab: Lab) -> None:
    lab.run("CREATE TABLE t (a int, b text, c jsonb, d numeric)")
    for at in range(5):
        lab.connection.execute("INSERT INTO t VALUES (%s, %s, %s, %s)", [at, "x", '{"a": 1}', 1.5], prepare=True)
    cursor = lab.connection.cursor(binary=True)
    assert cursor.execute("SELECT a, c FROM t WHERE a = %s", [3], prepare=True).fetchall() == [(3, {"a": 1})]
    assert cursor.execute("SHOW TABLES", prepare=True).fetchall() == [("t", "")]
    lab.connection.execute("CREATE VIEW v AS SELECT 1 AS x", prepare=True)
    with lab.connection.pipeline():
        found = [lab.connection.execute("SELECT x + %s FROM v", [at]) for at in range(5)]
        assert [one.fetchone() for one in found] == [(1 + at,) for at in range(5)]


def test_asyncpg(lab: Lab) -> None:
    async def talk() -> None:
        connection = await asyncpg.connect(
            host=lab.emulator.host, port=lab.emulator.sql_port, user="materialize", database="materialize", ssl=False
        )
        await connection.execute(f"SET search_path = {lab.schema}")
        await connection.execute("CREATE TABLE t (a int, at timestamptz)")
        await connection.execute("CREATE MATERIALIZED VIEW v AS SELECT a, count(*) AS n FROM t GROUP BY a")
        await connection.executemany("INSERT INTO t VALUES ($1, now())", [(1,), (2,), (1,)])
        assert [tuple(row) for row in await connection.fetch("SELECT a, n FROM v ORDER BY a")] == [(1, 2), (2, 1)]
        assert await connection.fetchval("SELECT n FROM v WHERE a = $1", 1) == 2
        with pytest.raises(asyncpg.UndefinedColumnError):
            await connection.fetch("SELECT nothing FROM v")
        async with connection.transaction():
            await connection.execute("DECLARE c CURSOR FOR SUBSCRIBE v")
            rows = await connection.fetch("FETCH ALL c")
            assert sorted(tuple(row)[1:] for row in rows) == [(1, 1, 2), (1, 2, 1)]
            assert await connection.fetch("FETCH ALL c WITH (timeout = '100ms')") == []
        with pytest.raises(asyncpg.FeatureNotSupportedError, match="emulator"):
            await connection.execute("CREATE SOURCE s FROM KAFKA CONNECTION c")
        with pytest.raises(asyncpg.QueryCanceledError):
            await connection.execute("SET statement_timeout = 100; SELECT pg_sleep(30)")
        await connection.reset()
        assert await connection.fetchval("SELECT mz_version()")
        await connection.close()

    asyncio.run(talk())


def test_a_query_is_cancelled(lab: Lab) -> None:
    threading.Timer(0.3, lab.connection.cancel_safe).start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        lab.connection.execute("SELECT pg_sleep(60)")
    assert lab.value("SELECT 1") == 1


def test_a_client_that_vanishes_takes_its_query_along(lab: Lab) -> None:
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(77)%' AND state = 'active'"
    with contextlib.closing(lab.another()) as other:
        other.pgconn.send_query(b"SELECT pg_sleep(77)")
        eventually(lambda: lab.value(running) == 1)
        with socket.socket(fileno=os.dup(other.pgconn.socket)) as raw:
            raw.shutdown(socket.SHUT_RDWR)
        eventually(lambda: lab.value(running) == 0)


def test_transactions(lab: Lab) -> None:
    lab.run("CREATE TABLE t (a int)", "CREATE TABLE u (a int)")
    lab.run("CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t")
    lab.run("BEGIN", "INSERT INTO t VALUES (1)", "INSERT INTO u VALUES (1)", "COMMIT")
    assert lab.rows("SELECT * FROM n") == [(1,)]
    lab.run("BEGIN", "INSERT INTO t VALUES (1)", "ROLLBACK")
    assert lab.rows("SELECT * FROM n") == [(1,)]
    for statements, message in (
        (("INSERT INTO t VALUES (1)", "SELECT * FROM t"), "write-only mode"),
        (("SELECT * FROM t", "INSERT INTO t VALUES (1)"), "read-only mode"),
        (("UPDATE t SET a = 2",), "cannot be run inside a transaction block"),
        (("CREATE TABLE x (a int)", "CREATE TABLE y (a int)"), "can only execute a single statement"),
    ):
        lab.run("BEGIN", *statements[:-1])
        assert message in str(lab.error(statements[-1]))
        assert lab.error("SELECT 1").sqlstate == "25P02"
        assert lab.connection.execute("COMMIT").statusmessage == "ROLLBACK"


def test_a_definition_in_a_transaction_happens_at_its_end(lab: Lab) -> None:
    lab.run("BEGIN", "CREATE TABLE t (a int)")
    with contextlib.closing(lab.another()) as other:
        assert other.execute("SHOW TABLES").fetchall() == []
        lab.run("COMMIT")
        assert other.execute("SHOW TABLES").fetchall() == [("t", "")]
    lab.run("BEGIN", "CREATE TABLE u (a int)", "ROLLBACK")
    assert lab.rows("SHOW TABLES") == [("t", "")]


def test_reads_in_a_transaction_are_of_one_time(lab: Lab) -> None:
    lab.run("CREATE TABLE t (a int)", "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t")
    with contextlib.closing(lab.another()) as other, other.transaction():
        before = other.execute("SELECT n FROM n").fetchone()
        lab.run("INSERT INTO t VALUES (1)")
        assert lab.rows("SELECT n FROM n") == [(1,)]
        assert other.execute("SELECT n FROM n").fetchone() == before == (0,)


def test_variables(lab: Lab) -> None:
    lab.run("SET cluster = serve", "SET transaction_isolation TO 'serializable'", "SET statement_timeout = '5s'")
    assert lab.value("SHOW cluster") == "serve"
    assert lab.value("SHOW transaction_isolation") == "serializable"
    assert lab.value("SHOW statement_timeout") == "5s"
    lab.run("RESET cluster")
    assert lab.value("SHOW cluster") == "quickstart"
    assert lab.value("SHOW max_sources") == "25"


def test_a_large_result_and_a_large_row(lab: Lab) -> None:
    rows = lab.connection.execute("SELECT g, 'name ' || g FROM generate_series(1, 100000) g").fetchall()
    assert rows[-1] == (100000, "name 100000")
    assert len(lab.value("SELECT repeat('x', 20000000)")) == 20_000_000
    binary = lab.connection.cursor(binary=True).execute("SELECT repeat('y', %s)", [5_000_000]).fetchone()
    assert binary is not None
    assert len(binary[0]) == 5_000_000


def test_writes_by_other_ways_are_noticed(lab: Lab) -> None:
    lab.run("CREATE TABLE t (a int)", "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t")
    lab.run("PREPARE add AS INSERT INTO t VALUES ($1)", "EXECUTE add(1)")
    assert lab.rows("SELECT * FROM n") == [(1,)]
    lab.run("WITH gone AS (DELETE FROM t RETURNING a) SELECT * FROM gone")
    assert lab.rows("SELECT * FROM n") == [(0,)]
    lab.run("PREPARE ask AS SELECT n FROM n", "INSERT INTO t VALUES (1), (2)")
    assert lab.rows("EXECUTE ask") == [(2,)]


def test_a_text_that_is_too_long_is_refused(lab: Lab) -> None:
    with pytest.raises(psycopg.errors.ProgramLimitExceeded):
        lab.connection.execute(b"SELECT '%b'" % (b"x" * (2 << 20)))
    assert lab.value("SELECT 1") == 1


def test_reset_all(lab: Lab) -> None:
    lab.run("SET cluster = serve", "RESET ALL")
    assert lab.value("SHOW cluster") == "quickstart"
    assert lab.value("SHOW search_path") == "public"
