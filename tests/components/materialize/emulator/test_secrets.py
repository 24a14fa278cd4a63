"""Secrets: their values come in by SQL, and never come out again."""

from __future__ import annotations

import contextlib

import psycopg
import pytest
from tests.components.materialize.emulator.lab import Lab

pytestmark = pytest.mark.live

VALUE = "Hush-4711"
CHECKED = (
    "CREATE SOURCE s FROM WEBHOOK BODY FORMAT TEXT CHECK (WITH (BODY AS b BYTES, SECRET k AS k BYTES) "
    "constant_time_eq(b, k))"
)
RELATIONS = (
    "mz_secrets", "mz_objects", "mz_sources", "mz_internal.mz_comments", "mz_internal.mz_object_dependencies",
    "mz_internal.mz_object_fully_qualified_names", "pg_stat_activity", "pg_prepared_statements",
)  # fmt: skip


def test_a_secret_is_an_object_as_others(lab: Lab) -> None:
    lab.run(f"CREATE SECRET k AS '{VALUE}'", "COMMENT ON SECRET k IS 'signs'", CHECKED)
    secret, schema, name = lab.rows("SELECT id, schema_id, name FROM mz_secrets WHERE name = 'k'")[0]
    assert lab.value(f"SELECT name FROM mz_schemas WHERE id = '{schema}'") == lab.schema
    assert name == "k"
    assert lab.rows("SHOW SECRETS") == [("k", "signs")]
    comments = f"SELECT object_type, object_sub_id, comment FROM mz_internal.mz_comments WHERE id = '{secret}'"
    assert lab.rows(comments) == [("secret", None, "signs")]
    users = f"SELECT object_id FROM mz_internal.mz_object_dependencies WHERE referenced_object_id = '{secret}'"
    assert lab.rows(users) == lab.rows(f"SELECT id FROM mz_sources WHERE schema_id = '{schema}'")
    error = lab.error("DROP SECRET k")
    assert error.sqlstate == "2BP01"
    assert f'still depended upon by source "materialize.{lab.schema}.s"' in str(error)
    lab.run(f"ALTER SECRET k AS '{VALUE}2'")
    assert [lab.post("s", body.encode()).status_code for body in (VALUE, VALUE + "2")] == [400, 200]
    lab.run("DROP SOURCE s", "DROP SECRET k")
    assert lab.rows("SHOW SECRETS") == []
    assert lab.rows(comments) == []


def test_values(lab: Lab) -> None:
    lab.run("CREATE SECRET k AS 'first'", CHECKED)
    for sql, body in (
        ("'é'", "é".encode()),
        ("'it''s'", b"it's"),
        (r"'\x6869'", b"hi"),
        (r"'a\\b'", rb"a\b"),
        ("decode('aGk=', 'base64')", b"hi"),
        ("('in parentheses')", b"in parentheses"),
    ):
        lab.run(f"ALTER SECRET k AS {sql}")
        assert lab.post("s", body).status_code == 200, sql
    for sql, sqlstate in (
        ("NULL", "XX000"),
        ("1 + 1", "42804"),
        ("'x'::text", "42804"),
        ("nothing", "42703"),
        (r"'a\b'", "22P02"),
    ):
        assert lab.error(f"ALTER SECRET k AS {sql}").sqlstate == sqlstate, sql
    assert lab.post("s", b"in parentheses").status_code == 200


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE SECRET k '{}'",
        "CREATE SECRET k AS '{}' garbage",
        "CREATE SECRET k AS '{}",
        "CREATE SECRET k AS '{}'::int",
        "CREATE SECRET k AS upper('{}')::int",
        "CREATE SECRET k AS decode('{}', 'base64')",
        "CREATE SECRET k AS encode('{}')",
        "CREATE SECRET nowhere.k AS '{}'",
        "ALTER SECRET nothing AS '{}'",
        "ALTER SECRET nothing SET '{}'",
        "SELECT 1; CREATE SECRET nowhere.k AS '{}'",
    ],
)
def test_no_error_tells_the_value(lab: Lab, sql: str) -> None:
    told = str(lab.error(sql.format(VALUE)))
    with contextlib.closing(lab.another()) as connection, pytest.raises(psycopg.Error) as prepared:
        # By Parse and Bind, although it has no parameters.
        connection.cursor(binary=True).execute(sql.format(VALUE).encode()).fetchall()
    for text in (told, str(prepared.value)):
        assert text
        assert VALUE.lower() not in text.lower()


def test_nothing_shows_a_value(lab: Lab) -> None:
    lab.run(f"CREATE SECRET k AS '{VALUE}'", CHECKED, f"ALTER SECRET k AS '{VALUE}'")
    lab.run("ALTER SECRET k RENAME TO key", "COMMENT ON SECRET key IS 'signs'")
    lab.error(f"CREATE SECRET key AS '{VALUE}'")
    assert lab.post("s", VALUE.encode()).status_code == 200
    lab.run(f"CREATE SCHEMA {lab.schema}_b", f"DROP SCHEMA {lab.schema}_b")
    for relation in RELATIONS:
        assert VALUE not in repr(lab.rows(f"SELECT r.*::text FROM {relation} r")), relation
    assert VALUE not in lab.value("SELECT string_agg(prosrc, ';') FROM pg_proc WHERE prokind = 'f'")
    assert VALUE not in repr(lab.rows("SHOW CREATE SOURCE s"))
    assert f"SECRET materialize.{lab.schema}.key" in repr(lab.rows("SHOW CREATE SOURCE s"))
    assert lab.error("SHOW CREATE SECRET key").sqlstate == "42809"
    for sql in (
        "SELECT * FROM mz_emulator.secrets",
        "CREATE VIEW v AS SELECT * FROM mz_emulator.secrets",
        "CREATE MATERIALIZED VIEW v AS SELECT 1 AS x WHERE EXISTS (SELECT FROM mz_emulator.secrets)",
        "SUBSCRIBE (SELECT s.* FROM pg_class, mz_emulator.secrets s)",
    ):
        assert lab.error(sql).sqlstate == "42501", sql
    assert "does not allow subqueries" in str(lab.error("CREATE SECRET b AS (SELECT value FROM mz_emulator.secrets)"))
    data_dir = lab.emulator.log.with_name(lab.emulator.log.name.removesuffix(".log"))
    for log in (lab.emulator.log, *data_dir.rglob("*.log")):
        assert VALUE not in log.read_text()
