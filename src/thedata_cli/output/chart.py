"""A chart of a result: which columns it shows, and their values. How it is drawn is in `drawing.py`."""

from __future__ import annotations

import datetime
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.live import ResultStream
from thedata_cli.errors import UsageError
from thedata_cli.output.drawing import bar_lines, line_lines
from thedata_cli.output.rows import Rows
from thedata_cli.output.table import printable
from thedata_cli.output.values import are_numbers, text

if TYPE_CHECKING:
    from rich.console import Console

_MAX_BARS = 200
_MAX_POINTS = 100_000
_TOO_LARGE = 1e300


class ChartKind(StrEnum):
    """How the values are drawn."""

    BAR = "bar"
    LINE = "line"


@dataclass(frozen=True)
class ChartSpec:
    """What the user wants to see; what is None is guessed from the result."""

    kind: ChartKind | None = None
    x: str | None = None
    y: str | None = None


@dataclass
class Chart:
    """The values of a chart, row by row.

    Attributes:
        x: Labels of bars; numbers, times or labels along a line.
        y: NaN where the result has no number that can be drawn.
        rows: How many rows the result had; the first ones are shown when there are too many.
    """

    kind: ChartKind
    x_name: str
    y_name: str
    x: list[Any] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    rows: int = 0


def parse_chart(spec: str) -> ChartSpec:
    """Read `bar x=carrier y=delay`; every part can be left out, names with spaces are quoted.

    Raises:
        UsageError: A part is none of these.

    Example:
        >>> parse_chart("bar x=carrier y='mean delay'")
        ChartSpec(kind=<ChartKind.BAR: 'bar'>, x='carrier', y='mean delay')
    """
    hint = "write it as `bar x=carrier y=delay` or `line x=time y=price`; every part can be left out"
    try:
        words = shlex.split(spec)
    except ValueError as error:
        raise UsageError(f"the chart {spec!r} cannot be read: {error}", hint=hint) from error
    kind: ChartKind | None = None
    columns: dict[str, str] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if separator and value and name in {"x", "y"}:
            columns[name] = value
        elif word in set(ChartKind):
            kind = ChartKind(word)
        else:
            raise UsageError(f"the chart {spec!r} has a part {word!r} that is not understood", hint=hint)
    return ChartSpec(kind, columns.get("x"), columns.get("y"))


async def read_chart(result: ResultStream, spec: ChartSpec) -> Chart:
    """Read a result to its end and keep what the chart shows.

    Raises:
        UsageError: The result has no such column, no numbers, or no rows to choose columns by.
    """
    names = [column.name for column in result.columns]
    chart: Chart | None = None
    x = y = 0
    async for rows in result.blocks():
        if not rows:
            continue
        if chart is None:
            x, y = _choose_columns(names, rows, spec)
            kind = spec.kind or _guess_kind([row[x] for row in rows] if x >= 0 else [])
            chart = Chart(kind, names[x] if x >= 0 else "row", names[y])
        room = (_MAX_BARS if chart.kind is ChartKind.BAR else _MAX_POINTS) - len(chart.y)
        chart.x.extend(row[x] if x >= 0 else chart.rows + index for index, row in enumerate(rows[:room], start=1))
        chart.y.extend(_number(row[y]) for row in rows[:room])
        chart.rows += len(rows)
    if chart is None:
        raise UsageError("the result has no rows, so there is nothing to draw", hint="run it without --chart")
    if all(map(math.isnan, chart.y)):
        raise UsageError(f"the column {chart.y_name!r} holds no numbers", hint="name another column: y=…")
    return chart


def print_chart(console: Console, chart: Chart) -> None:
    """Draw a chart as wide as the console."""
    from rich.text import Text

    console.print(Text(printable(f"{chart.y_name} by {chart.x_name}"), style="bold"), soft_wrap=True)
    if chart.kind is ChartKind.BAR:
        lines = bar_lines([_label(value) for value in chart.x], chart.y, width=console.width)
    else:
        positions, labels = _along(chart.x)
        lines = line_lines(positions, chart.y, labels, width=console.width, height=min(max(console.height - 8, 8), 18))
    for line in lines:
        console.print(
            Text.assemble(line.before, (line.drawn, "cyan"), line.after), soft_wrap=True, end="\n", highlight=False
        )
    if chart.rows > len(chart.y):
        console.print(f"the first {len(chart.y)} of {chart.rows} rows", style="dim", soft_wrap=True)


def _choose_columns(names: Sequence[str], rows: Rows, spec: ChartSpec) -> tuple[int, int]:
    """Return the places of x and y; x is -1 when the rows are just counted."""
    numeric = [index for index in range(len(names)) if are_numbers([row[index] for row in rows])]
    x = _find(names, spec.x) if spec.x is not None else None
    if spec.y is not None:
        y = _find(names, spec.y)
    else:
        candidates = [index for index in numeric if index != x]
        if not candidates:
            raise UsageError(
                f"the result has no column of numbers to draw; its columns are {', '.join(names)}",
                hint="select a number, such as count(*)",
            )
        leads = x is None and len(numeric) == len(names) and len(numeric) > 1
        y = candidates[1] if leads else candidates[0]
    if x is None:
        others = [index for index in range(len(names)) if index not in numeric and index != y]
        x = others[0] if others else next((index for index in numeric if index != y), -1)
    return x, y


def _find(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise UsageError(f"the result has no column {name!r}; its columns are {', '.join(names)}")
    return names.index(name)


def _guess_kind(x: Sequence[Any]) -> ChartKind:
    """Draw a line along times and numbers, bars for all else."""
    is_ordered = not x or are_numbers(x) or all(isinstance(value, datetime.date | None) for value in x)
    return ChartKind.LINE if is_ordered else ChartKind.BAR


def _number(value: Any) -> float:
    if not isinstance(value, (int, float, Decimal)):
        return math.nan
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return math.nan
    return number if abs(number) < _TOO_LARGE else math.nan


def _label(value: Any) -> str:
    return printable(text(value))


def _along(x: Sequence[Any]) -> tuple[list[float], tuple[str, str, str]]:
    """Return where each value stands along the line, and the labels of its beginning, middle and end."""
    if are_numbers(x):
        positions = [_number(value) for value in x]
        known = [position for position in positions if not math.isnan(position)] or [0.0]
        return positions, tuple(f"{value:g}" for value in (min(known), (min(known) + max(known)) / 2, max(known)))  # type: ignore[return-value]
    if all(isinstance(value, datetime.date | None) for value in x):
        times = [math.nan if value is None else _seconds(value) for value in x]
        known = [moment for moment in times if not math.isnan(moment)] or [0.0]
        return times, tuple(map(_moment, (min(known), (min(known) + max(known)) / 2, max(known))))  # type: ignore[return-value]
    return list(map(float, range(len(x)))), (_label(x[0]), _label(x[len(x) // 2]), _label(x[-1]))


def _seconds(value: datetime.date) -> float:
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time(), datetime.UTC)
    elif value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return value.timestamp()


def _moment(seconds: float) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M}"
