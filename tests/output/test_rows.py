"""Formats of results for programs: exact values, whatever the size of the blocks."""

from __future__ import annotations

import asyncio
import csv
import datetime
import io
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.output.samples import DELAYS, NEW_YEAR, VALUES, Result, written
from thedata_cli.output.row_format import RowFormat
from thedata_cli.output.rows import row_encoder, write_parquet, write_rows
from thedata_cli.output.values import json_encoder, json_value, text, text_column

ROW_FORMATS = (RowFormat.CSV, RowFormat.JSON, RowFormat.JSONL, RowFormat.MARKDOWN)
BERLIN = datetime.timezone(datetime.timedelta(hours=1))


@pytest.mark.parametrize(
    ("value", "as_text", "as_json"),
    [
        (True, "true", "true"),
        (2**200, str(2**200), str(2**200)),
        (-(2**63), "-9223372036854775808", "-9223372036854775808"),
        (0.1, "0.1", "0.1"),
        (float("nan"), "NaN", "null"),
        (float("-inf"), "-Infinity", "null"),
        (Decimal("1.10"), "1.10", "1.10"),
        (Decimal("NaN"), "NaN", "null"),
        (Decimal("0E-8"), "0.00000000", "0E-8"),
        (datetime.datetime(2013, 1, 1, 1, 2, 3, 4), "2013-01-01T01:02:03.000004Z", '"2013-01-01T01:02:03.000004Z"'),
        (NEW_YEAR.astimezone(BERLIN), "2013-01-01T10:15:00Z", '"2013-01-01T10:15:00Z"'),
        (datetime.date(1969, 12, 31), "1969-12-31", '"1969-12-31"'),
        (datetime.timedelta(seconds=1.5), "PT1.5S", '"PT1.5S"'),
        (b"\x00\xff", "0x00ff", '"AP8="'),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001", '"00000000-0000-0000-0000-000000000001"'),
        (IPv4Address("10.0.0.1"), "10.0.0.1", '"10.0.0.1"'),
        (("a", (1, None)), '["a",[1,null]]', '["a",[1,null]]'),
        ({1: {NEW_YEAR.astimezone(BERLIN)}}, '{"1":["2013-01-01T10:15:00Z"]}', '{"1":["2013-01-01T10:15:00Z"]}'),
        ([float("inf"), Decimal("Infinity"), b"a"], '[null,null,"YQ=="]', '[null,null,"YQ=="]'),
        ("ünï \U0001f600", "ünï \U0001f600", '"ünï \U0001f600"'),
    ],
)
def test_a_value_is_written_exactly(value: Any, as_text: str, as_json: str) -> None:
    assert text(value) == as_text
    assert json_encoder().encode(json_value(value)).decode() == as_json
    # A column takes other ways through the code than a value alone.
    for column in ([value], [value, None, value], [None, value, "x"], [value, 1, 1.5]):
        expected = [None if cell is None else text(cell) for cell in column]
        assert list(text_column(column)) == expected


numbers = st.none() | st.integers() | st.floats() | st.decimals(allow_nan=None)
times = st.none() | st.builds(
    datetime.datetime.replace,
    st.datetimes(min_value=datetime.datetime(1900, 1, 1)),
    tzinfo=st.sampled_from([None, datetime.UTC, BERLIN]),
)


@given(st.lists(numbers) | st.lists(times) | st.lists(st.floats()) | st.lists(st.decimals()))
def test_a_column_reads_as_its_values_do(values: list[Any]) -> None:
    for value, cell in zip(values, text_column(values), strict=True):
        if value is None:
            assert cell is None
        elif isinstance(value, float) and cell is not None:
            assert float(cell) == value or (value != value and cell == "NaN")
        else:
            assert cell == text(value)


@given(st.lists(st.tuples(st.none() | st.text(st.characters(codec="utf-8")), st.integers()), max_size=5))
def test_csv_reads_back_as_it_was(rows: list[tuple[str | None, int]]) -> None:
    output = written(RowFormat.CSV, Result(("text", "number"), rows, block=2))
    read = list(csv.reader(io.StringIO(output, newline="")))
    assert read == [["text", "number"], *([value or "", str(number)] for value, number in rows)]


def test_csv_tells_null_from_an_empty_text() -> None:
    assert written(RowFormat.CSV, Result(("a", "b"), [(None, ""), ("x", None)])) == 'a,b\n,""\nx,\n'


@given(
    st.lists(st.tuples(st.none() | st.text(st.characters(codec="utf-8")), st.booleans()), max_size=5), st.integers(1, 3)
)
def test_json_reads_back_as_it_was(rows: list[tuple[str | None, bool]], block: int) -> None:
    result = Result(('a"\n', "b"), rows, block=block)
    objects = [dict(zip(('a"\n', "b"), row, strict=True)) for row in rows]
    assert json.loads(written(RowFormat.JSON, result)) == objects
    assert [json.loads(line) for line in written(RowFormat.JSONL, result).split("\n")[:-1]] == objects


@pytest.mark.parametrize("format", ROW_FORMATS)
def test_the_size_of_the_blocks_changes_nothing(format: RowFormat) -> None:
    rows = [(index, f"row {index}", None, [index]) for index in range(7)]
    names = ("number", "name", "nothing", "list")
    assert written(format, Result(names, rows, block=2)) == written(format, Result(names, rows))


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        (RowFormat.CSV, "a,b\n"),
        (RowFormat.JSON, "[]\n"),
        (RowFormat.JSONL, ""),
        (RowFormat.MARKDOWN, "| a | b |\n| --- | --- |\n"),
    ],
)
def test_a_result_without_rows(format: RowFormat, expected: str) -> None:
    assert written(format, Result(("a", "b"), [])) == expected


@pytest.mark.parametrize(
    ("format", "expected"),
    [(RowFormat.CSV, ""), (RowFormat.JSON, "[]\n"), (RowFormat.JSONL, ""), (RowFormat.MARKDOWN, "")],
)
def test_a_statement_without_a_result(format: RowFormat, expected: str) -> None:
    assert written(format, Result((), [])) == expected


def test_two_columns_of_one_name_keep_both_values() -> None:
    assert json.loads(written(RowFormat.JSON, Result(("a", "a"), [(1, 2)]))) == [{"a": 1, "a_2": 2}]


def test_markdown_keeps_its_columns_whatever_a_value_has_in_it() -> None:
    output = written(RowFormat.MARKDOWN, Result(("a|b", "n"), [("x|y\nz`*<b>", 1), (None, 2)]))
    assert output == "| a\\|b | n |\n| --- | ---: |\n| x\\|y<br>z\\`\\*&lt;b> | 1 |\n| NULL | 2 |\n"


def test_every_number_of_a_json_result_keeps_its_digits() -> None:
    values = {row["name"]: row["value"] for row in json.loads(written(RowFormat.JSON, VALUES), parse_float=Decimal)}
    assert values["decimal"] == Decimal("12345678901234567890.10")
    assert values["integer"] == 2**127


def test_rows_are_written_while_the_query_runs() -> None:
    sink = io.BytesIO()
    seen: list[int] = []

    class Slow(Result):
        async def blocks(self) -> AsyncIterator[Any]:
            for row in self._rows:
                seen.append(sink.getvalue().count(b"\n"))
                yield [row]

    result = Slow(("a",), [(1,), (2,), (3,)])
    asyncio.run(write_rows(result, row_encoder(RowFormat.JSONL, result.columns), sink))
    assert seen == [0, 1, 2]


def test_parquet_is_passed_through() -> None:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"PAR1"
        yield b"\x00PAR1"

    sink = io.BytesIO()
    assert asyncio.run(write_parquet(chunks(), sink)) == 9
    assert sink.getvalue() == b"PAR1\x00PAR1"


def test_a_reader_that_goes_away_stops_the_query() -> None:
    program = """
import asyncio, sys
from tests.output.samples import Result
from thedata_cli.output.row_format import RowFormat
from thedata_cli.output.rows import row_encoder, write_rows
result = Result(("a",), [(index,) for index in range(1_000_000)])
try:
    asyncio.run(write_rows(result, row_encoder(RowFormat.CSV, result.columns), sys.stdout.buffer))
except BrokenPipeError:
    sys.stderr.write("stopped")
    sys.stderr.flush()
    import os
    os._exit(0)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"a\n"
        process.stdout.close()
        assert process.stderr.read() == b"stopped"


def test_json_lines_are_read_by_a_strict_reader() -> None:
    lines = written(RowFormat.JSONL, DELAYS).splitlines()
    assert [msgspec.json.decode(line)["carrier"] for line in lines] == ["UA", "AA"]
