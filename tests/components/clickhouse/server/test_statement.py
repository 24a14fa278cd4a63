"""The split of a request into statement and data, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thedata_cli.components.clickhouse.server.errors import ClickHouseError
from thedata_cli.components.clickhouse.server.statement import (
    Kind,
    Statement,
    UnfinishedError,
    split_input,
    split_statement,
)


def split(text: str) -> Statement:
    return split_statement(text.encode(), complete=True)


@pytest.mark.parametrize(
    ("text", "sql", "data"),
    [
        ("INSERT INTO t FORMAT CSV\n1,2", "INSERT INTO t ", "1,2"),
        ("insert into d.t (`format`) settings x=1 format CSV \r\n1", "insert into d.t (`format`) ", "1"),
        ("INSERT INTO t FORMAT CSV 1,2", "INSERT INTO t ", "1,2"),
        ("INSERT INTO t /* FORMAT TSV\n */ FORMAT CSV\n\n1", "INSERT INTO t /* FORMAT TSV\n */ ", "\n1"),
        ("-- INSERT\nINSERT INTO TABLE `VALUES` FORMAT CSV\n1", "-- INSERT\nINSERT INTO TABLE `VALUES` ", "1"),
        ("INSERT INTO FUNCTION f('FORMAT x') FORMAT CSV\n1", "INSERT INTO FUNCTION f('FORMAT x') ", "1"),
    ],
)  # fmt: skip
def test_the_data_of_an_insert_starts_behind_its_format(text: str, sql: str, data: str) -> None:
    statement = split(text)
    assert statement.kind is Kind.INSERT_DATA
    assert statement.format == "CSV"
    assert (statement.sql.decode(), text[statement.data_offset :]) == (sql, data)


def test_values_are_data_too() -> None:
    text = "INSERT INTO values (a) VALUES (1), ('VALUES')"
    statement = split(text)
    assert (statement.kind, statement.format) == (Kind.INSERT_DATA, "Values")
    assert statement.sql == b"INSERT INTO values (a) "
    assert text[statement.data_offset :] == " (1), ('VALUES')"


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t SELECT 1",
        "INSERT INTO t WITH 1 AS x SELECT x FROM (SELECT 1 AS format)",
        "INSERT INTO t (SELECT 1)",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
        "CREATE TABLE t (a String DEFAULT ';') ENGINE = Memory;",
        "SET max_threads = 1",
    ],
)
def test_statements_without_data_and_result_are_commands(text: str) -> None:
    statement = split(text)
    assert statement.kind is Kind.COMMAND
    assert statement.sql.decode() == text.rstrip(";")


@pytest.mark.parametrize(
    ("text", "sql", "output_format", "after"),
    [
        ("SELECT 1 FORMAT JSON", "SELECT 1 ", "JSON", ""),
        ("SELECT 1 FORMAT JSON SETTINGS a = 1;", "SELECT 1 ", "JSON", " SETTINGS a = 1"),
        ("SELECT 1 AS format", "SELECT 1 AS format", None, ""),
        ("SELECT format FROM t", "SELECT format FROM t", None, ""),
        ("SELECT 1 -- FORMAT JSON", "SELECT 1", None, ""),
        ("(SELECT 1 FORMAT x) UNION ALL SELECT 2", "(SELECT 1 FORMAT x) UNION ALL SELECT 2", None, ""),
        ("SELECT $a$; FORMAT x$a$, ';', `;`, \";\" /* ; */", "SELECT $a$; FORMAT x$a$, ';', `;`, \";\"", None, ""),
        ("SHOW TABLES FORMAT CSV", "SHOW TABLES ", "CSV", ""),
        ("WITH 'INSERT' AS x SELECT x", "WITH 'INSERT' AS x SELECT x", None, ""),
    ],
)
def test_the_format_of_a_result(text: str, sql: str, output_format: str | None, after: str) -> None:
    statement = split(text)
    assert statement.kind is Kind.RESULT
    assert (statement.sql.decode(), statement.format, statement.settings_clause.decode()) == (sql, output_format, after)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 62),
        (" -- nothing\n;", 62),
        ("SELECT 1; SELECT 2", 62),
        ("INSERT INTO t SELECT 1; DROP TABLE t", 62),
        ("SELECT 'open", 62),
        ("SELECT 1 INTO OUTFILE 'x'", 97),
        ("INSERT INTO t FROM INFILE 'x' FORMAT CSV", 48),
        ("INSERT INTO t FORMAT", 62),
    ],
)
def test_what_is_refused(text: str, code: int) -> None:
    with pytest.raises(ClickHouseError) as refused:
        split(text)
    assert refused.value.code == code


@given(st.integers(min_value=0, max_value=60))
def test_a_cut_insert_is_never_taken_for_a_whole_one(length: int) -> None:
    text = b"INSERT INTO db.`t;` (a, b) SETTINGS s = 'FORMAT' FORMAT Native\n\x00\x01;"
    whole = split_statement(text, complete=True)
    try:
        early = split_statement(text[:length], complete=False)
    except UnfinishedError:
        return
    assert early == whole


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(text: bytes) -> None:
    try:
        statement = split_statement(text, complete=True)
    except ClickHouseError:
        return
    assert statement.sql


def test_the_input_function_is_taken_out() -> None:
    sql = b"INSERT INTO t SELECT lower(a) FROM input('a String, b Enum8(\\'x\\' = 1)') WHERE b != 'input('"
    before, columns, after = split_input(sql)
    assert before == b"INSERT INTO t SELECT lower(a) FROM "
    assert columns == "a String, b Enum8('x' = 1)"
    assert after == b" WHERE b != 'input('"
