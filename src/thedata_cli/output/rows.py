"""Results of queries for programs: CSV, JSON, JSON Lines, Markdown and Parquet, written block by block.

The table for people is in `table.py`; how single values are written is in `values.py`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, BinaryIO, Protocol

from thedata_cli.component_api.live import ResultColumn, ResultStream
from thedata_cli.output.row_format import RowFormat
from thedata_cli.output.values import are_numbers, json_column, json_encoder, text_column

Rows = Sequence[Sequence[Any]]


class RowEncoder(Protocol):
    """Turns blocks of rows into bytes; one instance per result."""

    def block(self, rows: Rows) -> bytes:
        """Return the bytes of a block, with the opening before the first one."""

    def end(self) -> bytes:
        """Return what closes the result; also the opening when there was no block."""


async def write_rows(result: ResultStream, encoder: RowEncoder, sink: BinaryIO) -> int:
    """Write a result as it comes, and flush after every block.

    Returns:
        How many rows there were.

    Raises:
        BrokenPipeError: The reader of the sink has gone.
    """
    count = 0
    async for rows in result.blocks():
        if rows:
            count += len(rows)
            sink.write(encoder.block(rows))
            sink.flush()
    sink.write(encoder.end())
    sink.flush()
    return count


async def write_parquet(chunks: AsyncGenerator[bytes, None], sink: BinaryIO) -> int:
    """Pass the bytes of a Parquet file through.

    Returns:
        How many bytes there were.

    Raises:
        BrokenPipeError: The reader of the sink has gone.
    """
    size = 0
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            size += sink.write(chunk)
        sink.flush()
    return size


class CsvEncoder:
    """CSV as of RFC 4180, UTF-8, lines end in a line feed. NULL is nothing at all, an empty text is `""`."""

    def __init__(self, columns: Sequence[ResultColumn]) -> None:
        header = ",".join(_csv_column([column.name for column in columns]))
        self._opening = f"{header}\n" if columns else ""

    def block(self, rows: Rows) -> bytes:
        """Return the lines of a block."""
        columns = [_csv_column(text_column(values)) for values in zip(*rows, strict=True)]
        lines = "\n".join(map(",".join, zip(*columns, strict=True)))
        return f"{self._take_opening()}{lines}\n".encode()

    def end(self) -> bytes:
        """Return the header when there was no row."""
        return self._take_opening().encode()

    def _take_opening(self) -> str:
        opening, self._opening = self._opening, ""
        return opening


class JsonLinesEncoder:
    """One JSON object a line, keys in the order of the query."""

    def __init__(self, columns: Sequence[ResultColumn]) -> None:
        self._names = unique_names(columns)

    def block(self, rows: Rows) -> bytes:
        """Return the lines of a block."""
        return json_encoder().encode_lines(list(json_objects(self._names, rows)))

    def end(self) -> bytes:
        """Return nothing: every line stands for itself."""
        return b""


class JsonEncoder:
    """One JSON array, an object a line."""

    def __init__(self, columns: Sequence[ResultColumn]) -> None:
        self._lines = JsonLinesEncoder(columns)
        self._opening = b"["

    def block(self, rows: Rows) -> bytes:
        """Return the objects of a block."""
        # Inside of a JSON object there is no raw line feed, so each one ends a row.
        lines = self._lines.block(rows)[:-1].replace(b"\n", b",\n")
        opening, self._opening = self._opening, b",\n"
        return opening + lines

    def end(self) -> bytes:
        """Return the end of the array."""
        return b"[]\n" if self._opening == b"[" else b"]\n"


class MarkdownEncoder:
    """A table as of GitHub Flavored Markdown; columns of numbers are aligned to the right."""

    def __init__(self, columns: Sequence[ResultColumn]) -> None:
        self._names = [column.name for column in columns]
        self._is_open = False

    def block(self, rows: Rows) -> bytes:
        """Return the lines of a block; the first block decides about the alignment."""
        columns = list(zip(*rows, strict=True))
        opening = self._opening([are_numbers(values) for values in columns])
        cells = [_markdown_column(text_column(values)) for values in columns]
        return (opening + "".join(map(_markdown_line, zip(*cells, strict=True)))).encode()

    def end(self) -> bytes:
        """Return the header when there was no row."""
        return self._opening([False] * len(self._names)).encode() if self._names else b""

    def _opening(self, is_right: Sequence[bool]) -> str:
        if self._is_open:
            return ""
        self._is_open = True
        rule = ["---:" if right else "---" for right in is_right]
        return _markdown_line(_markdown_column(self._names)) + _markdown_line(rule)


def row_encoder(format: RowFormat, columns: Sequence[ResultColumn]) -> RowEncoder:
    """Return the encoder of a format; TABLE and PARQUET have none, they are not made of encoded rows.

    Raises:
        KeyError: The format has no encoder.
    """
    encoders: dict[RowFormat, type[CsvEncoder | JsonEncoder | JsonLinesEncoder | MarkdownEncoder]] = {
        RowFormat.CSV: CsvEncoder,
        RowFormat.JSON: JsonEncoder,
        RowFormat.JSONL: JsonLinesEncoder,
        RowFormat.MARKDOWN: MarkdownEncoder,
    }
    return encoders[format](columns)


def json_objects(names: Sequence[str], rows: Rows) -> Iterator[dict[str, Any]]:
    """Yield each row as an object whose values `json_encoder` can write."""
    columns = [json_column(values) for values in zip(*rows, strict=True)]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def unique_names(columns: Sequence[ResultColumn]) -> list[str]:
    """Return the names of the columns, the second `a` as `a_2`, so that no value of an object is lost.

    Example:
        >>> unique_names([ResultColumn(name, "") for name in ("a", "a", "a_2", "a")])
        ['a', 'a_3', 'a_2', 'a_4']
    """
    taken = {column.name for column in columns}
    names: list[str] = []
    for column in columns:
        name, number = column.name, 1
        while name in names or (number > 1 and name in taken):
            number += 1
            name = f"{column.name}_{number}"
        names.append(name)
    return names


_CSV_SPECIAL = re.compile(r'[",\r\n]')


def _csv_column(values: Sequence[str | None]) -> Sequence[str]:
    """Quote where needed; one search over the whole column spares most columns the look at each value."""
    if _CSV_SPECIAL.search("".join(filter(None, values))):
        return [_csv_cell(value) for value in values]
    if all(values):
        return values  # type: ignore[return-value]
    return ["" if value is None else value or '""' for value in values]


def _csv_cell(value: str | None) -> str:
    if value is None:
        return ""
    if not value or _CSV_SPECIAL.search(value):
        return '"' + value.replace('"', '""') + '"'
    return value


_MARKDOWN = str.maketrans({"|": "\\|", "\\": "\\\\", "\n": "<br>", "\r": "", "<": "&lt;", "`": "\\`", "*": "\\*"})


def _markdown_column(values: Sequence[str | None]) -> list[str]:
    return ["NULL" if value is None else value.translate(_MARKDOWN) for value in values]


def _markdown_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
