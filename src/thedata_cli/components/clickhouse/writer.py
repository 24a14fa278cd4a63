"""Writes the rows of a pipeline into its table, each once.

A batch is one INSERT of JSON lines. An insert whose rows fall into several partitions is atomic for each of them, not
for all; so rows that may be there already are looked up first. Besides, each insert carries a token made of its rows:
the server drops one that it has seen, also while the first is still under way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thedata_cli.component_api.contracts import SEQUENCE_COLUMN, Contract
from thedata_cli.component_api.live import Batch, RejectedRow
from thedata_cli.component_api.routes import Route
from thedata_cli.component_api.view_values import ValueRange
from thedata_cli.components.clickhouse.column_types import value_range
from thedata_cli.components.clickhouse.connection import Connection
from thedata_cli.components.clickhouse.rejections import ROW_ERRORS, ServerError, row_number, try_again_later
from thedata_cli.components.clickhouse.sql import literal, quoted
from thedata_cli.errors import StatementRejectedError

READING = {"date_time_input_format": "best_effort"}
INSERT = {
    **READING,
    "async_insert": "0",
    "input_format_parallel_parsing": "0",
    "input_format_skip_unknown_fields": "0",
    "max_partitions_per_insert_block": "0",
    "max_insert_block_size": "10000000",
    "min_insert_block_size_bytes": "0",
}
"""One request makes one block, so that there is one part, and one token, for each partition."""

_LOOKED_UP_AT_ONCE = 5000
_LONG_QUERY = {"max_query_size": str(256 * 2**20)}


class ClickHouseWriter:
    """The writer of one route; see `TableWriter`."""

    def __init__(self, connection: Connection, route: Route) -> None:
        self._connection = connection
        self._route = route
        self._table = f"{quoted(connection.database)}.{quoted(route.target.name)}"
        self._layout: _Layout | None = None

    async def highest_sequence(self) -> int:
        """Return the highest `_sequence` in the table, 0 when it has none."""
        with try_again_later(self._route.target.name):
            rows = await self._connection.rows(f"SELECT max({quoted(SEQUENCE_COLUMN)}) FROM {self._table}")
        return int(rows[0][0])

    async def write(self, batch: Batch) -> Sequence[RejectedRow]:
        """Write a batch; when it returns, the server has confirmed all rows but the returned ones.

        Raises:
            ServiceUnreachableError: The server is down, or may have written some of the rows: try again later.
            StatementRejectedError: The server refuses for a reason outside the rows, such as a missing table.
        """
        with try_again_later(self._route.target.name):
            try:
                return await self._write(batch)
            except StatementRejectedError:
                # The table may have changed under our feet.
                self._layout = None
                raise

    async def _write(self, batch: Batch) -> list[RejectedRow]:
        layout = self._layout = self._layout or await self._read_layout(batch.contract)
        rejected, fitting = layout.split(batch.rows)
        if not fitting:
            return rejected
        token = _token(self._route, fitting)
        missing = await self._missing(batch, fitting) if batch.may_be_present else fitting
        pending = [missing] if missing else []
        while pending:
            rows = pending.pop()
            part = token if len(rows) == len(missing) else _token(self._route, rows)
            error = await self._insert(rows, layout, part)
            if error and len(rows) == 1:
                rejected.append(RejectedRow(rows[0].sequence, error.reason))
            elif error:
                pending += _parts(rows, error)
        return sorted(rejected, key=lambda row: row.sequence)

    async def _read_layout(self, contract: Contract) -> _Layout:
        rows = await self._connection.rows(
            "SELECT name, type, toYear(toDate32('0001-01-01')) = 1 FROM system.columns WHERE database = "
            f"{literal(self._connection.database)} AND table = {literal(self._route.target.name)}"
        )
        types = {name: type_name for name, type_name, _ in rows}
        columns = contract.decoder.columns
        if missing := [name for name in columns if name not in types]:
            what = f"has no column {missing[0]!r}" if types else "does not exist"
            raise StatementRejectedError(f"table {self._table} {what}", hint="create it with `thedata apply`")
        return _Layout(contract, types, has_all_years=bool(rows[0][2]))

    async def _insert(self, rows: Sequence[Any], layout: _Layout, token: str) -> ServerError | None:
        """Insert rows; return the error when one of them is at fault, and nothing is written."""
        try:
            await self._connection.run(
                f"INSERT INTO {self._table} ({layout.column_list}) FORMAT JSONEachRow",
                data=_encoded(rows),
                parameters={**INSERT, "insert_deduplication_token": token},
                has_database=False,
            )
        except ServerError as error:
            if error.number in ROW_ERRORS:
                return error
            raise
        return None

    async def _missing(self, batch: Batch, rows: Sequence[Any]) -> Sequence[Any]:
        """Return the rows that the table does not have, by sequence, key and event time."""
        doubtful = set(batch.may_be_present)
        asked = [row for row in rows if row.sequence in doubtful]
        present: set[int] = set()
        for start in range(0, len(asked), _LOOKED_UP_AT_ONCE):
            present |= await self._present(batch.contract, asked[start : start + _LOOKED_UP_AT_ONCE])
        return [row for row in rows if row.sequence not in present]

    async def _present(self, contract: Contract, rows: Sequence[Any]) -> set[int]:
        """Ask for rows as they are inserted, so that the server compares values as its columns hold them."""
        layout = self._layout
        if layout is None or not rows:
            return set()
        names = dict.fromkeys((SEQUENCE_COLUMN, *contract.key, *([contract.event_time] if contract.event_time else ())))
        columns = ", ".join(map(quoted, names))
        structure = ", ".join(f"{quoted(name)} {layout.types[name]}" for name in names)
        low, high = rows[0].sequence, rows[-1].sequence
        found = await self._connection.rows(
            f"SELECT {quoted(SEQUENCE_COLUMN)} FROM {self._table} "
            f"WHERE {quoted(SEQUENCE_COLUMN)} BETWEEN {min(low, high)} AND {max(low, high)} AND ({columns}) IN ("
            f"SELECT {columns} FROM format(JSONEachRow, {literal(structure)}, "
            f"{literal(_encoded(rows).decode())}))",
            parameters={**READING, **_LONG_QUERY, "input_format_skip_unknown_fields": "1"},
        )
        return {row[0] for row in found}


@dataclass(frozen=True)
class _Check:
    """A column that holds fewer values than its field can have."""

    attribute: str
    column: str
    type_name: str
    range: ValueRange


class _Layout:
    """What is known of a table's columns while rows are written into it."""

    def __init__(self, contract: Contract, types: Mapping[str, str], *, has_all_years: bool) -> None:
        self.types = types
        self.column_list = ", ".join(map(quoted, contract.decoder.columns))
        self._checks = [
            _Check(f"f{index}", field.name, types[field.name], limits)
            for index, field in enumerate(contract.fields)
            if (limits := value_range(field.type, types[field.name], has_all_years=has_all_years))
        ]

    def split(self, rows: Sequence[Any]) -> tuple[list[RejectedRow], list[Any]]:
        """Sort out the rows with values that the server would change without a word."""
        bad: dict[int, RejectedRow] = {}
        for check in self._checks:
            low, high, attribute = check.range.low, check.range.high, check.attribute
            for position, row in enumerate(rows):
                value = getattr(row, attribute)
                if value is not None and not low <= value <= high and position not in bad:
                    reason = f"{check.column}: {value} does not fit {check.type_name} ({low} to {high})"
                    bad[position] = RejectedRow(row.sequence, reason)
        return list(bad.values()), [row for position, row in enumerate(rows) if position not in bad] if bad else list(
            rows
        )


def _encoded(rows: Sequence[Any]) -> bytes:
    import msgspec

    return msgspec.json.Encoder().encode_lines(rows)


def _token(route: Route, rows: Sequence[Any]) -> str:
    """Return the same text for the same rows, and for no others."""
    digest = hashlib.blake2b(_encoded(rows), digest_size=16).hexdigest()
    return f"{route.stream.name}:{rows[0].sequence}-{rows[-1].sequence}:{digest}"


def _parts(rows: Sequence[Any], error: ServerError) -> list[Sequence[Any]]:
    """Split rows of which one is at fault: that one from the rest where the server names it, else into halves."""
    position = row_number(error)
    if position is not None and 0 <= position < len(rows):
        return [[rows[position]], [*rows[:position], *rows[position + 1 :]]]
    middle = len(rows) // 2
    return [rows[:middle], rows[middle:]]
