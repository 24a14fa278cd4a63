"""Definitions: made, shown, changed, refused and dropped, as a client sees it."""

from __future__ import annotations

import pytest
from tests.components.materialize.emulator.lab import Lab

pytestmark = pytest.mark.live


@pytest.fixture
def flights(lab: Lab) -> Lab:
    lab.run(
        "CREATE SOURCE events FROM WEBHOOK BODY FORMAT JSON INCLUDE HEADERS INCLUDE HEADER 'x-id' AS xid",
        "CREATE VIEW parsed AS SELECT (body->>'id')::int AS id, body->>'c' AS carrier FROM events",
        "CREATE MATERIALIZED VIEW by_carrier AS SELECT carrier, count(*) AS n FROM parsed GROUP BY carrier",
        "CREATE TABLE planes (tail text NOT NULL, seats int DEFAULT 1)",
    )
    return lab


def test_the_catalog_lists_every_object(flights: Lab) -> None:
    flights.run("CREATE INDEX by_carrier_idx ON by_carrier (carrier)", "CREATE SECRET key AS 'x'")
    sql = """
        SELECT o.name, o.type FROM mz_objects o JOIN mz_schemas s ON s.id = o.schema_id WHERE s.name = current_schema
    """
    assert flights.rows(sql) == [
        ("by_carrier", "materialized-view"),
        ("by_carrier_idx", "index"),
        ("events", "source"),
        ("key", "secret"),
        ("parsed", "view"),
        ("planes", "table"),
    ]
    depends = """
        SELECT a.name, b.name FROM mz_internal.mz_object_dependencies d
        JOIN mz_objects a ON a.id = d.object_id JOIN mz_objects b ON b.id = d.referenced_object_id
        JOIN mz_schemas s ON s.id = a.schema_id WHERE s.name = current_schema
    """
    assert flights.rows(depends) == [("by_carrier", "parsed"), ("parsed", "events")]


def test_show_lists_names_and_comments(flights: Lab) -> None:
    flights.run("COMMENT ON SOURCE events IS 'hash=1'", "COMMENT ON COLUMN planes.tail IS 'number'")
    assert flights.rows("SHOW SOURCES") == [("events", "webhook", "quickstart", "hash=1")]
    assert flights.rows("SHOW MATERIALIZED VIEWS LIKE 'by%'") == [("by_carrier", "quickstart", "")]
    assert flights.rows("SHOW TABLES WHERE name = 'planes'") == [("planes", "")]
    columns = flights.connection.execute("SHOW COLUMNS FROM planes").fetchall()
    assert columns == [("tail", False, "text", "number"), ("seats", True, "integer", "")]
    assert flights.connection.execute("SHOW COLUMNS FROM events").fetchall() == [
        ("body", False, "jsonb", ""),
        ("headers", False, "map", ""),
        ("xid", True, "text", ""),
    ]
    flights.run("COMMENT ON SOURCE events IS NULL")
    assert flights.rows("SHOW SOURCES") == [("events", "webhook", "quickstart", "")]


def test_show_create_is_in_normal_form(flights: Lab) -> None:
    schema = flights.schema
    name, text = flights.rows("SHOW CREATE MATERIALIZED VIEW by_carrier")[0]
    assert name == f"materialize.{schema}.by_carrier"
    assert (
        text.split()
        == (
            f"CREATE MATERIALIZED VIEW materialize.{schema}.by_carrier IN CLUSTER quickstart WITH (REFRESH = "
            "ON COMMIT) AS "
            f"SELECT carrier, count(*) AS n FROM materialize.{schema}.parsed GROUP BY carrier;"
        ).split()
    )
    text = flights.rows("SHOW CREATE TABLE planes")[0][1]
    assert (
        text
        == f"CREATE TABLE materialize.{schema}.planes (tail pg_catalog.text NOT NULL, seats pg_catalog.int4 DEFAULT 1);"
    )


def test_a_definition_that_is_shown_can_be_run_again(flights: Lab) -> None:
    shown = [
        flights.rows(f"SHOW CREATE {what}")[0][1]
        for what in ("SOURCE events", "TABLE planes", "VIEW parsed", "MATERIALIZED VIEW by_carrier")
    ]
    flights.run("DROP TABLE planes", "DROP SOURCE events CASCADE", *shown)
    again = [
        flights.rows(f"SHOW CREATE {what}")[0][1]
        for what in ("SOURCE events", "TABLE planes", "VIEW parsed", "MATERIALIZED VIEW by_carrier")
    ]
    assert again == shown


def test_nothing_is_dropped_that_others_need(flights: Lab) -> None:
    error = flights.error("DROP SOURCE events")
    assert error.sqlstate == "2BP01"
    assert "still depended upon by view" in str(error)
    assert flights.value("SELECT count(*) FROM by_carrier") == 0
    flights.run("DROP SOURCE events CASCADE")
    assert flights.error("SELECT * FROM by_carrier").sqlstate == "42P01"
    assert flights.rows("SHOW OBJECTS") == [("planes", "table", "")]


def test_create_again(flights: Lab) -> None:
    assert flights.error("CREATE VIEW parsed AS SELECT 1").sqlstate == "42710"
    flights.run("CREATE VIEW IF NOT EXISTS parsed AS SELECT 1 AS x")
    assert [row[0] for row in flights.rows("SHOW COLUMNS FROM parsed")] == ["carrier", "id"]
    assert flights.error("CREATE OR REPLACE VIEW parsed AS SELECT 1").sqlstate == "2BP01"
    assert flights.error("CREATE OR REPLACE VIEW by_carrier AS SELECT 1").sqlstate == "42809"
    flights.run("CREATE OR REPLACE MATERIALIZED VIEW by_carrier AS SELECT 7 AS x")
    assert flights.rows("SELECT * FROM by_carrier") == [(7,)]


def test_drop_if_exists_and_wrong_kinds(flights: Lab) -> None:
    flights.run("DROP TABLE IF EXISTS nothing", "DROP CLUSTER IF EXISTS nothing", "DROP SCHEMA IF EXISTS nothing")
    assert flights.error("DROP TABLE nothing").sqlstate == "42704"
    assert flights.error("DROP TABLE events").sqlstate == "42809"


def test_rename_and_swap(flights: Lab) -> None:
    flights.run("ALTER SOURCE events RENAME TO departures", "INSERT INTO planes VALUES ('N1', 2)")
    assert "departures" in flights.rows("SHOW CREATE VIEW parsed")[0][1]
    flights.send("departures", {"id": 1, "c": "AA"})
    assert flights.rows("SELECT * FROM by_carrier") == [("AA", 1)]
    other = f"{flights.schema}_new"
    flights.run(f"CREATE SCHEMA {other}", f"CREATE TABLE {other}.planes (x int)")
    flights.run(f"ALTER SCHEMA {flights.schema} SWAP WITH {other}")
    assert flights.rows("SELECT * FROM planes") == []
    assert flights.rows(f"SELECT * FROM {other}.by_carrier") == [("AA", 1)]
    flights.run(f"ALTER SCHEMA {flights.schema} SWAP WITH {other}", f"DROP SCHEMA {other} CASCADE")
    flights.send("departures", {"id": 2, "c": "AA"})
    assert flights.rows("SELECT * FROM by_carrier") == [("AA", 2)]


def test_a_replacement_takes_the_place_of_a_materialized_view(flights: Lab) -> None:
    flights.send("events", {"id": 1, "c": "AA"})
    flights.run(
        "CREATE MATERIALIZED VIEW above AS SELECT sum(n) AS total FROM by_carrier",
        "CREATE REPLACEMENT MATERIALIZED VIEW r FOR by_carrier AS SELECT carrier, count(*) * 10 AS n FROM "
        "parsed GROUP BY carrier",
        "ALTER MATERIALIZED VIEW by_carrier APPLY REPLACEMENT r",
    )
    assert flights.rows("SELECT * FROM by_carrier") == [("AA", 10)]
    assert flights.rows("SELECT * FROM above") == [(10,)]
    flights.send("events", {"id": 2, "c": "AA"})
    assert flights.rows("SELECT * FROM above") == [(20,)]
    assert flights.rows("SHOW MATERIALIZED VIEWS") == [("above", "quickstart", ""), ("by_carrier", "quickstart", "")]


def test_clusters(lab: Lab) -> None:
    name = f"cluster_of_{lab.schema}"
    lab.run(
        f"CREATE CLUSTER {name} (SIZE = '25cc', REPLICATION FACTOR = 1)",
        f"CREATE CLUSTER IF NOT EXISTS {name} SIZE '50cc'",
    )
    lab.run(f"CREATE MATERIALIZED VIEW v IN CLUSTER {name} AS SELECT 1 AS x")
    assert lab.rows(f"SELECT size, replication_factor FROM mz_clusters WHERE name = '{name}'") == [("25cc", 1)]
    assert lab.error(f"DROP CLUSTER {name}").sqlstate == "2BP01"
    lab.run(f"ALTER CLUSTER {name} SET (SIZE = '100cc')")
    assert lab.value(f"SELECT size FROM mz_clusters WHERE name = '{name}'") == "100cc"
    lab.run(f"DROP CLUSTER {name} CASCADE")
    assert lab.rows("SHOW MATERIALIZED VIEWS") == []
    assert "unknown cluster" in str(lab.error(f"CREATE MATERIALIZED VIEW v IN CLUSTER {name} AS SELECT 1 AS x"))


REFUSED = [
    ("CREATE MATERIALIZED VIEW v AS SELECT now()", "0A000", "cannot materialize call to current_timestamp"),
    ("CREATE TABLE t (a int PRIMARY KEY)", "0A000", "primary key or unique constraint is not supported"),
    ("CREATE VIEW v AS SELECT nothing FROM planes", "42703", 'column "nothing" does not exist'),
    ("CREATE VIEW v AS SELECT * FROM nowhere", "42P01", 'relation "nowhere" does not exist'),
    ("CREATE VIEW v AS SELEC 1", "42601", "syntax error"),
    ("CREATE MATERIALIZED VIEW v AS SELECT * FROM v", "42P01", 'relation "v" does not exist'),
    ("CREATE SECRET nowhere.s AS 'x'", "3F000", "unknown schema 'nowhere'"),
    ("CREATE TABLE mz_catalog.t (a int)", "42501", "system schema"),
    ("CREATE TABLE other.public.t (a int)", "0A000", "emulator"),
    ("SHOW CREATE VIEW nothing", "42704", "unknown catalog item"),
    ("SHOW CREATE VIEW planes", "42809", "is not a view"),
    ("CREATE INDEX ON planes (nothing)", "42703", 'column "nothing" does not exist'),
    ("INSERT INTO events VALUES ('{}')", "42501", "permission denied"),
    ("SELECT * FROM mz_emulator.secrets", "42501", "permission denied"),
    ("SELECT pg_read_file('/etc/passwd')", "42501", "permission denied"),
]


def test_refusals(flights: Lab) -> None:
    for sql, sqlstate, message in REFUSED:
        error = flights.error(sql)
        assert error.sqlstate == sqlstate, sql
        assert message in str(error), sql


def test_errors_of_postgres_point_into_the_clients_text(flights: Lab) -> None:
    sql = "CREATE MATERIALIZED VIEW v IN CLUSTER quickstart AS SELECT nothing FROM planes"
    position = flights.error(sql).diag.statement_position
    assert position is not None
    assert int(position) == sql.index("nothing") + 1
    later = "SELECT 1; SELECT nothing"
    position = flights.error(later).diag.statement_position
    assert position is not None
    assert int(position) == later.index("nothing") + 1


def test_the_emulator_says_what_it_is(lab: Lab) -> None:
    assert "emulator" in lab.value("SELECT version()")
    assert lab.value("SELECT mz_version()").startswith("v26.")
    assert "emulator" in lab.value("SHOW mz_version")
