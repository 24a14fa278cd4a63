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
        ("GRANT USAGE, CREATE ON SCHEMA s, d.t TO GROUP ops, bob", st.Accepted),
        ("GRANT ALL PRIVILEGES ON ALL TABLES IN SCHEMA s TO bob", st.Accepted),
        ("GRANT readers TO bob", st.Accepted),
        ("REVOKE CREATECLUSTER ON SYSTEM FROM bob", st.Accepted),
        ("CREATE ROLE bob WITH LOGIN PASSWORD 'x' NOSUPERUSER", st.Accepted),
        ("ALTER ROLE bob CREATEDB", st.Accepted),
        ("DROP USER bob", st.Drop),
        ("SHOW COLUMNS IN v LIKE 'a%'", st.Show),
        ("SHOW FIELDS FROM v", st.Show),
        ("SHOW INDEXES FROM s IN CLUSTER c WHERE name > 'a'", st.Show),
        ("SHOW REDACTED CREATE SOURCE s", st.Show),
        ("BEGIN WORK ISOLATION LEVEL STRICT SERIALIZABLE, READ WRITE", st.Begin),
        ("COMMIT WORK AND NO CHAIN", st.End),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", st.SetVariable),
        ("FETCH FORWARD 5 FROM c WITH (timeout = '1s')", st.Fetch),
        ("ALTER SOURCE s RESET (RETAIN HISTORY)", st.SetRetention),
    ],
)
def test_statements_are_known(sql: str, kind: type[st.Statement]) -> None:
    assert isinstance(one(sql), kind)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "INSERT INTO t VALUES (1)",
        "COPY t FROM STDIN",
        "SHOW timezone",
        "EXPLAIN SELECT 1",
        "SELECT list, map, options FROM t ORDER BY list NULLS LAST",
        "COPY t TO STDOUT (FORMAT csv)",
        "DECLARE c CURSOR FOR SELECT 1",
        "(SELECT 1) UNION ALL SELECT 2",
        "SELECT a[1] AS b, m['k'] FROM t",
    ],
)
def test_the_rest_is_left_to_postgres(sql: str) -> None:
    assert one(sql) is None


def test_subscribe_has_its_envelope_first_or_last() -> None:
    first = one("SUBSCRIBE v ENVELOPE UPSERT (KEY (a, b)) WITH (PROGRESS, SNAPSHOT = false) AS OF 10 UP TO 20")
    second = one("SUBSCRIBE v WITH (PROGRESS true, SNAPSHOT false) AS OF 10 UP TO 20 ENVELOPE UPSERT (KEY (a, b))")
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
        ("SUBSCRIBE v AS OF 10 WITH (PROGRESS)", "42601", "WITH"),
        ("SUBSCRIBE v UP TO 20 AS OF 10", "42601", "AS OF"),
        ("SUBSCRIBE v WITHIN TIMESTAMP ORDER BY WITH (PROGRESS)", "42601", "WITH (P"),
        ("CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON WITH (RETAIN HISTORY FOR '1h')", "42601", "WITH"),
        ("CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON INCLUDE HEADERS, INCLUDE HEADERS", "42601", ","),
        ("CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON INCLUDE HEADERS ()", "42601", ")"),
        ("CREATE TABLE t ()", "0A000", ")"),
        ('CREATE TABLE t (a text COLLATE "C")', "0A000", "COLLATE"),
        ("CREATE TABLE t (a int list)", "0A000", "list"),
        ("CREATE TABLE t (a int) FROM SOURCE s", "0A000", "FROM"),
        ('CREATE TABLE "" (a int)', "42601", '""'),
        ("CREATE VIEW IF EXISTS v AS SELECT 1", "42601", "EXISTS"),
        ("CREATE OR REPLACE VIEW IF NOT EXISTS v AS SELECT 1", "42601", "NOT"),
        ("CREATE INDEX IF NOT EXISTS ON v (a)", "42601", "ON v"),
        ("CREATE INDEX s.i ON v (a)", "42601", "."),
        ("CREATE CLUSTER REPLICA c.r SIZE '25cc'", "0A000", "REPLICA"),
        ("CREATE CLUSTER c (SIZE '25cc') FEATURES (x = true)", "0A000", "FEATURES"),
        ("CREATE ROLE bob WITH EVERYTHING", "42601", "EVERYTHING"),
        ("ALTER ROLE bob SET cluster TO c", "0A000", "SET"),
        ("ALTER MATERIALIZED VIEW v SET CLUSTER c", "0A000", "CLUSTER c"),
        ("ALTER SOURCE s ADD SUBSOURCE a", "0A000", "ADD"),
        ("ALTER INDEX i RESET (SIZE)", "0A000", "SIZE"),
        ("ALTER INDEX i SET ()", "42601", "("),
        ("ALTER SCHEMA a SWAP WITH b.c", "42601", "."),
        ("ALTER NETWORK POLICY p SET (RULES ())", "0A000", "NETWORK"),
        ("COMMENT ON FUNCTION f IS 'x'", "0A000", "FUNCTION"),
        ("GRANT SELECT ON VIEW v TO bob", "42601", "VIEW"),
        ("GRANT ALL ON INDEX i TO bob", "42601", "INDEX"),
        ("GRANT CREATE ON ALL CLUSTERS IN SCHEMA s TO bob", "42601", "IN"),
        ("REVOKE SELECT ON v TO bob", "42601", "TO"),
        ("SHOW TABLES IN CLUSTER c", "42601", "IN"),
        ("SHOW ROLES FROM s", "42601", "FROM"),
        ("SHOW INDEXES FROM s ON v", "42601", "ON"),
        ("SHOW REDACTED VIEWS", "42601", "VIEWS"),
        ("SHOW PRIVILEGES ON TABLES", "0A000", "PRIVILEGES"),
        ("SHOW CREATE TYPE t", "0A000", "TYPE"),
        ("START TRANSACTION READ ONLY,", "42601", ""),
        ("BEGIN ISOLATION LEVEL SNAPSHOT", "42601", "SNAPSHOT"),
        ("COMMIT AND CHAIN", "0A000", "AND"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "42601", "WITH"),
        ("FETCH ALL IN c", "42601", "c"),
        ("COPY INTO t FROM STDIN", "0A000", "INTO"),
        ("COPY t TO STDOUT (FORMAT = csv)", "0A000", "="),
        ("COPY t TO STDOUT WITH", "42601", ""),
        ("EXPLAIN OPTIMIZED PLAN FOR SELECT 1", "0A000", "OPTIMIZED"),
        ("EXPLAIN TIMESTAMP FOR SELECT 1", "0A000", "TIMESTAMP"),
        ("WITH MUTUALLY RECURSIVE r (a int) AS (SELECT 1) SELECT * FROM r", "0A000", "MUTUALLY"),
        ("CREATE VIEW v AS SELECT a FROM t OPTIONS (AGGREGATE INPUT GROUP SIZE = 9)", "0A000", "OPTIONS"),
        ("CREATE VIEW v AS SELECT LIST[1, 2]", "0A000", "LIST"),
        ("SELECT MAP['a' => 1]", "0A000", "MAP"),
        ("SELECT a::int list FROM t", "0A000", "list"),
        ("SELECT lag(a) IGNORE NULLS OVER (ORDER BY b) FROM t", "0A000", "NULLS"),
        ("SELECT name FROM (SHOW TABLES)", "0A000", "SHOW"),
        ("SELECT * FROM [u1 AS s.t]", "0A000", "["),
        ("SELECT a FROM t QUALIFY row_number() OVER () = 1", "0A000", "QUALIFY"),
        ("EXECUTE UNIT TEST t FOR v", "0A000", "UNIT"),
        ("RAISE NOTICE", "0A000", "RAISE"),
    ],
)
def test_errors_point_at_what_is_wrong(sql: str, sqlstate: str, at: str) -> None:
    with pytest.raises(EmulatorError) as caught:
        one(sql)
    assert caught.value.sqlstate == sqlstate
    assert caught.value.position == (sql.index(at) if at else len(sql))


def test_what_the_emulator_cannot_do_says_emulator() -> None:
    with pytest.raises(EmulatorError, match="the Materialize emulator does not support sources FROM KAFKA"):
        one("CREATE SOURCE s FROM KAFKA CONNECTION k")


def test_a_text_is_split_where_statements_end_and_nowhere_else() -> None:
    text = "SELECT ';' AS \";\"; -- a ; b\n/* ; /* ; */ */ SELECT $x$ ; $x$;;"
    assert [each.sql for each in split(text)] == ["SELECT ';' AS \";\"", "SELECT $x$ ; $x$"]
