"""Charts: which columns are drawn, and what they look like."""

from __future__ import annotations

import asyncio
import datetime
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.output.samples import NEW_YEAR, Result, console, printed
from thedata_cli.errors import UsageError
from thedata_cli.output.chart import ChartKind, ChartSpec, parse_chart, print_chart, read_chart

CARRIERS = Result(("carrier", "flights", "delay"), [("UA", 58665, 12.5), ("AA", 32729, -4.25), ("OO", 32, None)])


def chart(result: Result, spec: str = "", *, width: int = 50, is_terminal: bool = False) -> str:
    target = console(width=width, is_terminal=is_terminal)
    print_chart(target, asyncio.run(read_chart(result, parse_chart(spec))))
    return printed(target)


def test_bars_with_chosen_columns_negative_values_and_gaps() -> None:
    assert chart(CARRIERS, "bar x=carrier y=delay").splitlines() == [
        "delay by carrier",
        "UA" + " " * 12 + "█" * 29 + "▉ 12.5",
        "AA" + "  " + "█" * 10 + " -4.25",
        "OO" + " " * 12 + "-",
    ]


def test_the_first_text_and_the_first_number_are_drawn_when_nothing_is_said() -> None:
    assert chart(CARRIERS).startswith("flights by carrier\nUA  ")


@pytest.mark.parametrize(
    ("names", "row", "expected"),
    [
        (("at", "price"), (NEW_YEAR, 1.5), (ChartKind.LINE, "at", "price")),
        (("day", "price"), (datetime.date(2013, 1, 1), Decimal(1)), (ChartKind.LINE, "day", "price")),
        (("price", "carrier"), (1.5, "AA"), (ChartKind.BAR, "carrier", "price")),
        (("hour", "count"), (1, 2), (ChartKind.LINE, "hour", "count")),
        (("count",), (1,), (ChartKind.LINE, "row", "count")),
    ],
)
def test_what_is_guessed(names: tuple[str, ...], row: tuple[object, ...], expected: tuple[ChartKind, str, str]) -> None:
    drawn = asyncio.run(read_chart(Result(names, [row, row]), ChartSpec()))
    assert (drawn.kind, drawn.x_name, drawn.y_name) == expected


@pytest.mark.parametrize(
    ("result", "spec", "message"),
    [
        (Result(("a", "b"), [("x", "y")]), "", "no column of numbers to draw; its columns are a, b"),
        (CARRIERS, "bar y=nothing", "no column 'nothing'; its columns are carrier, flights, delay"),
        (CARRIERS, "bar y=carrier", "'carrier' holds no numbers"),
        (Result(("a",), []), "", "no rows"),
        (CARRIERS, "pie", "a part 'pie' that is not understood"),
        (CARRIERS, "bar x='a", "cannot be read"),
    ],
)
def test_what_cannot_be_drawn_is_said(result: Result, spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chart(result, spec)


def test_a_line_stands_on_its_axes() -> None:
    rows = [(NEW_YEAR + datetime.timedelta(hours=hour), math.sin(hour / 8)) for hour in range(100)]
    lines = chart(Result(("at", "value"), rows), width=80).splitlines()
    assert lines[0] == "value by at"
    assert lines[1].startswith("   1 ┤")
    assert lines[-3].startswith("  -1 ┤")
    assert lines[-2] == "     └" + "─" * 74
    assert lines[-1].split() == ["2013-01-01", "10:15", "2013-01-03", "11:45", "2013-01-05", "13:15"]


def test_too_many_rows_are_told_of() -> None:
    output = chart(Result(("a", "b"), [(str(index), index) for index in range(1000)], block=30), "bar")
    assert output.splitlines()[-1] == "the first 200 of 1000 rows"


def test_colour_only_on_a_terminal() -> None:
    assert "\x1b[" not in chart(CARRIERS)
    assert "\x1b[36m" in chart(CARRIERS, is_terminal=True)


@given(
    st.lists(
        st.tuples(st.text(max_size=5) | st.none(), st.floats() | st.integers() | st.none()), min_size=1, max_size=5
    ),
    st.sampled_from(["bar", "line"]),
    st.integers(20, 120),
)
def test_any_numbers_can_be_drawn(rows: list[tuple[object, object]], kind: str, width: int) -> None:
    try:
        chart(Result(("a", "b"), rows), f"{kind} x=a y=b", width=width)
    except UsageError as error:
        assert "no numbers" in error.message  # noqa: PT017
