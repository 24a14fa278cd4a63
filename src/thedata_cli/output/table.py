"""Tables for people: of query results, row by row as they come, and of the listings of other commands.

On a terminal a table keeps to its width: long values are cut, and what does not fit at all is shown as one record of
`name  value` lines per row. Elsewhere nothing is cut and nothing is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thedata_cli.component_api.live import ResultStream
from thedata_cli.output.rows import Rows
from thedata_cli.output.values import are_numbers, text_column

if TYPE_CHECKING:
    from rich.console import Console
    from rich.segment import Segment

_GAP = "  "
_SAMPLE_ROWS = 1000
_NARROWEST = 8
_WIDEST_PADDING = 200
"""Off a terminal, a column is padded to this at most; longer values are written in full and push the rest aside."""

Column = Sequence[str | None]


@dataclass(frozen=True)
class Listing:
    """Rows of text for people.

    Attributes:
        names: Of the columns.
        rows: rows × columns; None is shown as `-`.
        numbers: Names of the columns that are aligned to the right.
        styles: Column name → value → rich style, for the values that stand out.
    """

    names: Sequence[str]
    rows: Sequence[Sequence[str | None]]
    numbers: frozenset[str] = frozenset()
    styles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def print_listing(console: Console, listing: Listing) -> None:
    """Print a listing; only its header when it has no rows."""
    columns: list[Column] = [_printable(values) for values in zip(*listing.rows, strict=True)]
    is_right = [name in listing.numbers for name in listing.names]
    styles = [listing.styles.get(name, {}) for name in listing.names]
    layout = TableLayout(listing.names, columns or [[] for _ in listing.names], is_right, console, styles, null="-")
    _print_segments(console, [*layout.header(), *layout.rows(columns)])


async def print_table(result: ResultStream, console: Console) -> int:
    """Print a result as it comes; the first rows decide about the widths of the columns.

    Returns:
        How many rows there were.

    Raises:
        BrokenPipeError: The reader has gone.
    """
    names = list(_printable([column.name for column in result.columns]))
    layout: TableLayout | None = None
    count = 0
    async for rows in result.blocks():
        if not rows:
            continue
        columns = [_printable(text_column(values)) for values in zip(*rows, strict=True)]
        header: Sequence[Segment] = ()
        if layout is None:
            layout = TableLayout(names, columns, _numeric(rows), console)
            header = layout.header()
        _print_segments(console, [*header, *layout.rows(columns, first_row=count + 1)])
        count += len(rows)
    if layout is None and names:
        empty = TableLayout(names, [[] for _ in names], [False] * len(names), console)
        _print_segments(console, empty.header())
    return count


class TableLayout:
    """Where each column stands.

    Args:
        names: Of the columns.
        sample: The first values of each column.
        is_right: Which columns are aligned to the right; those are never cut, because a cut number is another number.
        console: What it is for: its width, and whether it is a terminal.
        styles: Of each column: value → rich style.
        null: Shown for None.
    """

    def __init__(
        self,
        names: Sequence[str | None],
        sample: Sequence[Column],
        is_right: Sequence[bool],
        console: Console,
        styles: Sequence[Mapping[str, str]] = (),
        *,
        null: str = "NULL",
    ) -> None:
        self._names = [name or "" for name in names]
        self._is_right = is_right
        self._is_terminal = console.is_terminal
        self._width = width = console.width
        self._styles = styles or [{} for _ in names]
        self._null = null
        natural = [
            max([_cells(name), *map(_cells, (null if value is None else value for value in column[:_SAMPLE_ROWS]))])
            for name, column in zip(self._names, sample, strict=True)
        ]
        narrowest = [
            wanted if right else min(wanted, _NARROWEST) for wanted, right in zip(natural, is_right, strict=True)
        ]
        available = width - len(_GAP) * (len(natural) - 1)
        self._is_records = self._is_terminal and sum(narrowest) > available
        if self._is_records:
            self._widths = [max(map(_cells, self._names))] * len(natural)
        elif self._is_terminal:
            self._widths = _fit(natural, narrowest, available)
        else:
            self._widths = [min(wanted, _WIDEST_PADDING) for wanted in natural]

    def header(self) -> Sequence[Segment]:
        """Return the names of the columns, and on a terminal a line below them."""
        from rich.segment import Segment
        from rich.style import Style

        if self._is_records:
            return []
        cells = (self._cell(index, name) for index, name in enumerate(self._names))
        names = [Segment(_GAP.join(cells).rstrip(), Style(bold=True)), Segment.line()]
        if not self._is_terminal:
            return names
        rule = Segment(_GAP.join("─" * width for width in self._widths), Style(dim=True))
        return [*names, rule, Segment.line()]

    def rows(self, columns: Sequence[Column], *, first_row: int = 1) -> Iterator[Segment]:
        """Yield the lines of a block of rows, given column by column."""
        if self._is_records:
            return self._records(columns, first_row)
        return self._styled_rows(columns) if self._is_terminal else self._plain_rows(columns)

    def _plain_rows(self, columns: Sequence[Column]) -> Iterator[Segment]:
        """Yield a block as one piece of text."""
        from rich.segment import Segment

        lines = zip(*map(self._padded_column, range(len(columns)), columns), strict=True)
        yield Segment("".join(_GAP.join(cells).rstrip() + "\n" for cells in lines))

    def _padded_column(self, index: int, column: Column) -> list[str]:
        values = [self._null if value is None else value for value in column]
        if not "".join(values).isascii():
            return [self._cell(index, value) for value in values]
        width = self._widths[index]
        return [value.rjust(width) for value in values] if self._is_right[index] else [v.ljust(width) for v in values]

    def _styled_rows(self, columns: Sequence[Column]) -> Iterator[Segment]:
        from rich.segment import Segment
        from rich.style import Style

        dim, plain = Style(dim=True), Style()
        last = len(columns) - 1
        for row in zip(*columns, strict=True):
            for index, value in enumerate(row):
                text = self._cell(index, self._null if value is None else value)
                wanted = self._styles[index].get(value or "")
                style = dim if value is None else Style.parse(wanted) if wanted else plain
                yield Segment(text.rstrip() if index == last else text + _GAP, style)
            yield Segment.line()

    def _records(self, columns: Sequence[Column], first_row: int) -> Iterator[Segment]:
        """Yield each row as lines of name and value."""
        from rich.segment import Segment
        from rich.style import Style

        room = max(self._width - self._widths[0] - len(_GAP), _NARROWEST)
        for number, row in enumerate(zip(*columns, strict=True), start=first_row):
            yield Segment(f"─ row {number} ".ljust(self._width, "─"), Style(dim=True))
            yield Segment.line()
            for name, value in zip(self._names, row, strict=True):
                yield Segment(_padded(_cut(name, self._widths[0]), self._widths[0]) + _GAP, Style(bold=True))
                yield Segment(_cut(self._null if value is None else value, room), Style(dim=value is None))
                yield Segment.line()

    def _cell(self, index: int, value: str) -> str:
        width = self._widths[index]
        if self._is_right[index]:
            return " " * (width - _cells(value)) + value
        return _padded(_cut(value, width) if self._is_terminal else value, width)


def _numeric(rows: Rows) -> list[bool]:
    return [are_numbers(values) for values in zip(*rows[:_SAMPLE_ROWS], strict=True)]


def _fit(natural: Sequence[int], narrowest: Sequence[int], available: int) -> list[int]:
    """Take from the widest columns first until all of them fit.

    Example:
        >>> _fit([4, 30, 20], [4, 8, 8], 40)
        [4, 18, 18]
    """
    widths = [
        min(width, available) if width > least else width for width, least in zip(natural, narrowest, strict=True)
    ]
    while sum(widths) > available:
        shrinkable = [index for index, width in enumerate(widths) if width > narrowest[index]]
        widths[max(shrinkable, key=lambda index: widths[index])] -= 1
    return widths


_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What would move the cursor, change colours or turn the direction of a terminal."""


def _printable(values: Column) -> Column:
    """Write control characters as escapes; values come from anywhere, and a terminal obeys them."""
    if not _CONTROLS.search("".join(filter(None, values))):
        return values
    return [value and printable(value) for value in values]


def printable(value: str) -> str:
    r"""Write control characters as escapes.

    Example:
        >>> printable("a\tb\x1b[31m")
        'a\\tb\\x1b[31m'
    """
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), value)


def _cells(value: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if value.isascii():
        return len(value)
    from rich.cells import cell_len

    return cell_len(value)


def _cut(value: str, width: int) -> str:
    if _cells(value) <= width:
        return value
    from rich.cells import set_cell_size

    return set_cell_size(value, width - 1).rstrip() + "…"


def _padded(value: str, width: int) -> str:
    return value + " " * (width - _cells(value))


def _print_segments(console: Console, segments: Iterable[Segment]) -> None:
    from rich.segment import Segments

    console.print(Segments(segments), end="", soft_wrap=True)
