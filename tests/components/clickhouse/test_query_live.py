"""Queries against the real engine: typed values, streams, exports, errors with their place."""

from __future__ import annotations

import datetime
import io
import ipaddress
import math
import uuid
from decimal import Decimal
from typing import Any

import pytest
from tests.components.clickhouse.stack import Stack

from thedata_cli.errors import StatementRejectedError
from thedata_cli.plan.changes import Step

pytestmark = pytest.mark.live

VALUES: list[tuple[str, str, Any]] = [
    ("toInt64(-9223372036854775808)", "Int64", -(2**63)),
    ("toUInt64('18446744073709551615')", "UInt64", 2**64 - 1),
    ("bitNot(toUInt256(0))", "UInt256", 2**256 - 1),
    ("toInt128('-170141183460469231731687303715884105728')", "Int128", -(2**127)),
    ("0.1 + 0.2", "Float64", 0.1 + 0.2),
    ("inf", "Float64", math.inf),
    ("toDecimal128('12345678901234567890.12', 10)", "Decimal(38, 10)", Decimal("12345678901234567890.12")),
    ("true", "Bool", True),
    ("'Zürich\\n\\'q\\''", "String", "Zürich\n'q'"),
    ("unhex('FF41')", "String", "\ufffdA"),
    ("toDate('2024-02-29')", "Date", datetime.date(2024, 2, 29)),
    ("toDate32('1900-01-01')", "Date32", datetime.date(1900, 1, 1)),
    (
        "toDateTime('2013-01-01 05:00:00', 'America/New_York')", "DateTime('America/New_York')",
        datetime.datetime(2013, 1, 1, 10, tzinfo=datetime.UTC),
    ),
    (
        "toDateTime64('2013-01-01 05:00:00.123456', 6, 'UTC')", "DateTime64(6, 'UTC')",
        datetime.datetime(2013, 1, 1, 5, 0, 0, 123456, tzinfo=datetime.UTC),
    ),
    ("toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')", "UUID", uuid.UUID("61f0c404-5cb3-11e7-907b-a6006ad3dba0")),
    ("toIPv4('127.0.0.1')", "IPv4", ipaddress.IPv4Address("127.0.0.1")),
    ("toIPv6('::1')", "IPv6", ipaddress.IPv6Address("::1")),
    ("CAST('b', 'Enum8(\\'a\\' = 1, \\'b\\' = 2)')", "Enum8('a' = 1, 'b' = 2)", "b"),
    ("[toDate('2024-01-01'), NULL]", "Array(Nullable(Date))", [datetime.date(2024, 1, 1), None]),
    ("map(toInt64(1), toDecimal32('1.5', 1))", "Map(Int64, Decimal(9, 1))", {1: Decimal("1.5")}),
    ("CAST((1, '2024-01-01'), 'Tuple(a Int8, b Date)')", "Tuple(a Int8, b Date)", (1, datetime.date(2024, 1, 1))),
    ("toLowCardinality(toNullable('x'))", "LowCardinality(Nullable(String))", "x"),
    ("NULL", "Nullable(Nothing)", None),
    ("CAST('{\"a\": {\"b\": 1}}', 'JSON')", "JSON", {"a": {"b": 1}}),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "type_name", "expected"), VALUES, ids=[value[1] for value in VALUES])
async def test_values_come_as_python_objects(shared: Stack, expression: str, type_name: str, expected: Any) -> None:
    async with shared.live.query(f"SELECT {expression} AS value FROM numbers(1)") as result:
        assert [(column.name, column.type) for column in result.columns] == [("value", type_name)]
        rows = [row async for block in result.blocks() for row in block]
    assert rows == [[expected]]
    assert type(rows[0][0]) is type(expected)


async def test_a_large_result_comes_in_blocks(shared: Stack) -> None:
    total = rows = largest = 0
    async with shared.live.query("SELECT number, toString(number) AS text FROM numbers(300000)") as result:
        async for block in result.blocks():
            rows += len(block)
            largest = max(largest, len(block))
            total += sum(row[0] for row in block)
    assert (rows, total) == (300_000, 300_000 * 299_999 // 2)
    assert largest < 150_000


async def test_a_result_can_be_left_in_the_middle(shared: Stack) -> None:
    async with shared.live.query("SELECT number FROM system.numbers") as result:
        async for block in result.blocks():
            assert block[0] == [0]
            break
    assert await shared.rows("SELECT 1") == [(1,)]


async def test_an_empty_result_still_has_its_columns(shared: Stack) -> None:
    async with shared.live.query("SELECT 1 AS a, 'x' AS b WHERE 0") as result:
        assert [column.name for column in result.columns] == ["a", "b"]
        assert [block async for block in result.blocks()] == []


async def test_a_statement_without_a_result_has_no_columns(shared: Stack) -> None:
    async with shared.live.query("CREATE TEMPORARY TABLE t (a Int8)") as result:
        assert result.columns == []
        assert [block async for block in result.blocks()] == []


@pytest.mark.parametrize(
    ("sql", "line", "column"),
    [
        ("SELECT 1 frm x", 1, 14),
        ("SELECT 1 FROM", 1, 14),
        ("SELECT 1,\n  2 +\nFROM numbers(1)", 3, 13),
        ("SELECT 'ü',\n  missing_column\nFROM numbers(1)", 2, 3),
        ("SELECT no_such_function(1)", 1, 8),
        ("SELECT * FROM no_such_table", 1, 15),
    ],
)
async def test_a_rejected_statement_tells_its_place(shared: Stack, sql: str, line: int, column: int) -> None:
    with pytest.raises(StatementRejectedError) as raised:
        await shared.rows(sql)
    assert (raised.value.line, raised.value.column) == (line, column), raised.value.message
    assert "OUTFILE" not in raised.value.message


async def test_an_error_after_the_first_rows_is_raised(shared: Stack) -> None:
    seen = 0
    sql = "SELECT number, throwIf(number = 900000, 'too far') FROM numbers(1000000) SETTINGS max_block_size = 1000"

    async def read() -> None:
        nonlocal seen
        async with shared.live.query(sql) as result:
            async for block in result.blocks():
                seen += len(block)

    with pytest.raises(StatementRejectedError, match="too far"):
        await read()
    assert seen < 1_000_000


@pytest.mark.parametrize("sql", ["SELECT 1 FORMAT CSV", "SELECT 1; SELECT 2"])
async def test_a_statement_must_be_one_and_leave_the_format_to_us(shared: Stack, sql: str) -> None:
    with pytest.raises(StatementRejectedError):
        await shared.rows(sql)


async def test_parquet_is_written_by_the_engine(shared: Stack) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    body = b"".join([chunk async for chunk in shared.live.export_parquet("SELECT number AS n FROM numbers(100000)")])
    assert parquet.read_table(io.BytesIO(body)).column("n").to_pylist() == list(range(100_000))
    with pytest.raises(StatementRejectedError, match="FORMAT CSV"):
        [chunk async for chunk in shared.live.export_parquet("SELECT 1 FORMAT CSV")]


async def test_the_doctor_finds_a_healthy_server(shared: Stack) -> None:
    results = {result.name: result for result in await shared.live.check()}
    assert {name: result.status.value for name, result in results.items() if ".disk" not in name} == {
        "clickhouse.latency": "ok", "clickhouse.version": "ok", "clickhouse.parts": "ok", "clickhouse.mutations": "ok",
        "clickhouse.detached_parts": "ok",
    }  # fmt: skip
    assert results["clickhouse.version"].summary == f"chDB, engine {shared.component.default_version}"
    assert await shared.live.version() == shared.component.default_version
    assert "clickhouse.disk.default" in results


async def test_the_doctor_finds_detached_parts_and_stuck_mutations(stack: Stack) -> None:
    await stack.live.execute(Step(f"CREATE DATABASE {stack.database}"))
    await stack.rows("CREATE TABLE events (a Int64, b String) ORDER BY a PARTITION BY a")
    await stack.rows("INSERT INTO events VALUES (1, 'x'), (2, 'y')")
    await stack.rows("ALTER TABLE events DETACH PARTITION 1")
    failing = "UPDATE b = toString(throwIf(a = 2, 'no')) WHERE 1"
    with pytest.raises(StatementRejectedError):
        await stack.rows(f"ALTER TABLE events {failing} SETTINGS mutations_sync = 1")
    results = {result.name: result for result in await stack.live.check()}
    assert results["clickhouse.detached_parts"].summary == "1 detached part in events"
    assert results["clickhouse.mutations"].summary.startswith("1 failed mutation, first mutation_")
    await stack.rows("KILL MUTATION WHERE table = 'events'")
