"""Bars and lines as characters: numbers in, lines of text out. No columns, results or colours here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_EIGHTHS = " ▏▎▍▌▋▊▉"
_NARROWEST = 10


@dataclass(frozen=True)
class DrawnLine:
    """One line of a chart; `drawn` is the part that gets the colour."""

    before: str
    drawn: str
    after: str = ""

    def __str__(self) -> str:
        return f"{self.before}{self.drawn}{self.after}".rstrip()


def bar_lines(labels: Sequence[str], values: Sequence[float], *, width: int) -> Iterator[DrawnLine]:
    """Yield one horizontal bar per value, NaN as `-`; negative bars go to the left.

    Example:
        >>> for line in bar_lines(["AA", "UA"], [8.0, 4.0], width=16):
        ...     print(line)
        AA  ██████████ 8
        UA  █████ 4
    """
    numbers = [short_number(value) for value in values]
    label_width = min(max(map(_cells, labels)), max(width // 3, 1))
    known = [value for value in values if not math.isnan(value)]
    low, high = min(0.0, *known, 0.0), max(0.0, *known, 0.0)
    room = max(width - label_width - 3 - max(map(len, numbers)), _NARROWEST)
    span = (high - low) or 1.0
    left = round(-low / span * room)
    for label, value, number in zip(labels, values, numbers, strict=True):
        before = _fitted(label, label_width) + "  "
        if math.isnan(value):
            yield DrawnLine(before + " " * left, "", number)
        elif value < 0:
            yield DrawnLine(before, ("█" * max(round(-value / span * room), 1)).rjust(left), f" {number}")
        else:
            yield DrawnLine(before + " " * left, _bar(value / span * room), f" {number}")


def line_lines(
    x: Sequence[float], y: Sequence[float], labels: tuple[str, str, str], *, width: int, height: int
) -> Iterator[DrawnLine]:
    """Yield a line through the points in the order of x, with an axis on the left and one below.

    Args:
        x: Where the points stand; points with a NaN are left out.
        y: As many as x, each smaller than 1e300.
        labels: Of the lower axis: its beginning, middle and end.
        width: Of the whole chart.
        height: Of the drawing, without the lower axis.
    """
    points = sorted((px, py) for px, py in zip(x, y, strict=True) if not (math.isnan(px) or math.isnan(py)))
    low, high, step = _scale_of([py for _, py in points])
    ticks = {round((high - tick) / (high - low) * (height - 1)): short_number(tick) for tick in _ticks(low, high, step)}
    margin = max(map(len, ticks.values()))
    room = max(width - margin - 2, _NARROWEST)
    canvas = _Canvas(room, height)
    left, span = points[0][0] if points else 0.0, (points[-1][0] - points[0][0] if points else 0.0) or 1.0
    dots = [
        (round((px - left) / span * (room * 2 - 1)), round((high - py) / (high - low) * (height * 4 - 1)))
        for px, py in points
    ]
    canvas.draw(dots)
    for row in range(height):
        tick = ticks.get(row)
        yield DrawnLine(f"{tick or '':>{margin}} {'┤' if tick else '│'}", canvas.line(row))
    yield DrawnLine(" " * (margin + 1) + "└" + "─" * room, "")
    yield DrawnLine(" " * (margin + 2) + _spread(labels, room), "")


def short_number(value: float) -> str:
    """Return a number with about four digits, whole numbers in full.

    Example:
        >>> short_number(336776.0), short_number(12.3456), short_number(0.00012345), short_number(-1234.5)
        ('336776', '12.35', '0.0001234', '-1234')
    """
    if math.isnan(value):
        return "-"
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if 1000 <= abs(value) < 1e15:
        return f"{value:.0f}"
    return f"{value:.4g}"


class _Canvas:
    """Cells of 2 × 4 dots each, as the Braille characters have them."""

    _DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))

    def __init__(self, width: int, height: int) -> None:
        self._cells = [[0] * width for _ in range(height)]

    def draw(self, dots: Sequence[tuple[int, int]]) -> None:
        """Connect the dots in their order."""
        for index, (x, y) in enumerate(dots):
            self._set(x, y)
            if index:
                self._connect(dots[index - 1], (x, y))

    def line(self, row: int) -> str:
        return "".join(chr(0x2800 + cell) if cell else " " for cell in self._cells[row]).rstrip()

    def _connect(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
        for step in range(1, steps):
            share = step / steps
            self._set(
                round(start[0] + (end[0] - start[0]) * share),
                round(start[1] + (end[1] - start[1]) * share),
            )

    def _set(self, x: int, y: int) -> None:
        self._cells[y // 4][x // 2] |= self._DOTS[y % 4][x % 2]


def _scale_of(values: Sequence[float]) -> tuple[float, float, float]:
    """Return round bounds around the values, and a round step between the ticks.

    Example:
        >>> _scale_of([3.0, 41.0])
        (0.0, 50.0, 10.0)
    """
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-280):
        low, high = min(low, 0.0), max(high, 0.0)
        high = high if high - low > 1e-290 else 1.0
    rough = (high - low) / 4
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough)
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


def _ticks(low: float, high: float, step: float) -> list[float]:
    # The rounding takes away what adding steps such as 0.1 leaves behind.
    return [round(low + index * step, 12) for index in range(round((high - low) / step) + 1)]


def _bar(length: float) -> str:
    eighths = round(length * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _spread(labels: tuple[str, str, str], width: int) -> str:
    """Put labels at the beginning, the middle and the end of a line; only what has room."""
    first, middle, last = labels
    if len(first) + len(middle) + len(last) + 4 <= width:
        return first + middle.center(width - len(first) - len(last)) + last
    return f"{first}{last:>{max(width - len(first), len(last) + 1)}}" if len(first) + len(last) < width else first


def _cells(label: str) -> int:
    from rich.cells import cell_len

    return cell_len(label)


def _fitted(label: str, width: int) -> str:
    from rich.cells import set_cell_size

    return set_cell_size(label, width) if _cells(label) <= width else set_cell_size(label, width - 1) + "…"
