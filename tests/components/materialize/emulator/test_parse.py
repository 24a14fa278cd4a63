"""Materialize's statements, read without a server."""

from __future__ import annotations

import pytest

from thedata_cli.components.materialize.emulator import statements as st
from thedata_cli.components.materialize.emulator.errors import EmulatorError
from thedata_cli.components.materialize.emulator.parse import parse
from thedata_cli.components.materialize.emulator.tokens import split


def one(sql: str) -> st.Statement | None:
    (source,) = split(sql)
    return parse(source)


def test_a_webhook_source_with_everything() -> None:
    statement = one("""
        CREATE SOURCE IF NOT EXISTS db.s."Events" IN CLUSTER ingest FROM WEBHOOK
          BODY FORMAT JSON ARRAY
          INCLUDE HEADER 'X-Id' AS msg_id  INCLUDE HEADER 'raw' AS raw BYTES
          INCLUDE HEADERS ('a', NOT 'authorization')
          CHECK (WITH (HEADERS, BODY AS b BYTES, SECRET s.wh AS k) constant_time_eq(b, hmac(b, k, 'sha256')))
          WITH (RETAIN HISTORY FOR '1hr')
    """)
    assert isinstance(statement, st.CreateWebhook)
    assert statement.name.parts == ("db", "s", "Events")
    assert statement.if_not_exists
    assert statement.cluster is not None
    assert statement.cluster.last == "ingest"
    assert statement.body_format == "json array"
    assert statement.headers_column == st.HeadersColumn(("a",), ("authorization",))
    assert statement.mapped_headers == (st.MappedHeader("x-id", "msg_id", False), st.MappedHeader("raw", "raw", True))
    assert statement.check is not None
    assert [(each.kind, each.alias, each.is_bytes) for each in statement.check.inputs] == [
        ("headers", "headers", False),
        ("body", "b", True),
        ("secret", "k", False),
    ]
    assert statement.check.condition.sql == "constant_time_eq(b, hmac(b, k, 'sha256'))"
    assert statement.retain_ms == 3_600_000


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("CREATE SCHEMA IF NOT EXISTS s", st.CreateSchema),
        ("CREATE CLUSTER c (SIZE = '25cc', REPLICATION FACTOR 1)", st.CreateCluster),
        ("CREATE CLUSTER c SIZE '25cc'", st.CreateCluster),
        ("ALTER CLUSTER c SET (SIZE '50cc') WITH (WAIT UNTIL READY (TIMEOUT '5m'))", st.AlterCluster),
        ("ALTER SCHEMA a SWAP WITH b", st.Swap),
        ("ALTER SECRET s AS 'x'", st.AlterSecret),
        ("ALTER MATERIALIZED VIEW v APPLY REPLACEMENT r", st.ApplyReplacement),
        ("ALTER MATERIALIZED VIEW v SET (RETAIN HISTORY FOR '1h')", st.SetRetention),
        ("ALTER TABLE t RENAME TO u", st.Rename),
        ("ALTER VIEW v OWNER TO bob", st.Accepted),
        ("CREATE TABLE t FROM WEBHOOK BODY FORMAT TEXT", st.CreateWebhook),
        ("CREATE TABLE t (a int NOT NULL, b jsonb DEFAULT '{}') WITH (RETAIN HISTORY = FOR '2 days')", st.CreateTable),
        ("CREATE OR REPLACE MATERIALIZED VIEW v IN CLUSTER c WITH (REFRESH = ON COMMIT) AS SELECT 1", st.CreateView),
        ("CREATE REPLACEMENT MATERIALIZED VIEW r FOR v AS SELECT 1", st.CreateView),
        ("CREATE DEFAULT INDEX IN CLUSTER c ON v", st.CreateIndex),
        ("CREATE INDEX IF NOT EXISTS i ON v (lower(a), b + 1)", st.CreateIndex),
        ("DROP MATERIALIZED VIEW IF EXISTS a, b CASCADE", st.Drop),
        ("COMMENT ON COLUMN s.v.c IS NULL", st.Comment),
        ("SHOW CREATE MATERIALIZED VIEW v", st.Show),
        ("SHOW INDEXES ON v", st.Show),
        ("SHOW cluster", st.ShowVariable),
        ("SUBSCRIBE TO v", st.Subscribe),
        ("COPY (SUBSCRIBE (SELECT * FROM v) WITH (SNAPSHOT false) UP TO 5) TO STDOUT", st.CopySubscribe),
        ("DECLARE c CURSOR WITHOUT HOLD FOR SUBSCRIBE v AS OF AT LEAST 5", st.Declare),
        ("START TRANSACTION READ ONLY", st.Begin),
        ("GRANT SELECT ON v TO bob", st.Accepted),
    ],
)
def test_statements_are_known(sql: str, kind: type[st.Statement]) -> None:
    assert isinstance(one(sql), kind)


@pytest.mark.parametrize(
    "sql", ["SELECT 1", "INSERT INTO t VALUES (1)", "COPY t FROM STDIN", "SHOW timezone", "EXPLAIN SELECT 1"]
)
def test_the_rest_is_left_to_postgres(sql: str) -> None:
    assert one(sql) is None


def test_subscribe_with_its_clauses_in_any_order() -> None:
    first = one("SUBSCRIBE v ENVELOPE UPSERT (KEY (a, b)) WITH (PROGRESS, SNAPSHOT = false) AS OF 10 UP TO 20")
    second = one("SUBSCRIBE v AS OF 10 WITH (PROGRESS true, SNAPSHOT false) UP TO 20 ENVELOPE UPSERT (KEY (a, b))")
    assert isinstance(first, st.Subscribe)
    assert isinstance(second, st.Subscribe)
    for statement in (first, second):
        assert statement.envelope == "upsert"
        assert statement.keys == ("a", "b")
        assert statement.progress
        assert not statement.snapshot
        assert statement.as_of is not None
        assert statement.up_to is not None
        assert (statement.as_of.sql, statement.up_to.sql) == ("10", "20")


@pytest.mark.parametrize(
    ("sql", "sqlstate", "at"),
    [
        ("FROB x", "42601", "FROB"),
        ("CREATE SOURCE s FROM KAFKA CONNECTION k", "0A000", "KAFKA"),
        ("CREATE TABLE t (a int PRIMARY KEY)", "0A000", "PRIMARY"),
        ("CREATE TABLE t (a int, UNIQUE (a))", "0A000", "UNIQUE"),
        ("CREATE TABLE t (a serial)", "42704", "serial"),
        ("CREATE TEMPORARY VIEW v AS SELECT 1", "0A000", "TEMPORARY"),
        ("CREATE SOURCE s FROM WEBHOOK BODY FORMAT AVRO", "42601", "AVRO"),
        ("CREATE FUNCTION f() RETURNS int", "0A000", "FUNCTION"),
        ("CREATE MATERIALIZED VIEW v WITH (REFRESH EVERY '1 day') AS SELECT 1", "0A000", "'1 day'"),
        ("SUBSCRIBE v ENVELOPE UPSERT (KEY (a)) WITHIN TIMESTAMP ORDER BY a", "42601", "WITHIN"),
        ("SUBSCRIBE SELECT 1", "42601", "SELECT"),
        ("COPY t TO '/etc/passwd'", "0A000", "'/etc/passwd'"),
        ("COPY t FROM PROGRAM 'id'", "0A000", "PROGRAM"),
        ("SELECT * FROM t AS OF 5", "0A000", "AS OF"),
        ("SELECT 'abc", "42601", "'abc"),
        ("DROP FROB x", "42601", "FROB"),
        ("SAVEPOINT a", "0A000", "SAVEPOINT"),
        ("FETCH ALL c WITH (timeout = 'soon')", "22023", "'soon'"),
    ],
)
def test_errors_point_at_what_is_wrong(sql: str, sqlstate: str, at: str) -> None:
    with pytest.raises(EmulatorError) as caught:
        one(sql)
    assert caught.value.sqlstate == sqlstate
    assert caught.value.position == sql.index(at)


def test_what_the_emulator_cannot_do_says_emulator() -> None:
    with pytest.raises(EmulatorError, match="the Materialize emulator does not support sources FROM KAFKA"):
        one("CREATE SOURCE s FROM KAFKA CONNECTION k")


def test_a_text_is_split_where_statements_end_and_nowhere_else() -> None:
    text = "SELECT ';' AS \";\"; -- a ; b\n/* ; /* ; */ */ SELECT $x$ ; $x$;;"
    assert [each.sql for each in split(text)] == ["SELECT ';' AS \";\"", "SELECT $x$ ; $x$"]
