"""Rows of a contract as rows of one live table: which value goes into which column, and which cannot."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.contracts import SEQUENCE_COLUMN, Contract, FieldType
from thedata_cli.components.questdb.columns import WRITABLE
from thedata_cli.errors import StatementRejectedError

if TYPE_CHECKING:
    from questdb._client import Buffer

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_LARGEST_FLOAT = 3.4028234663852886e38

# The server keeps null as the smallest number of these types.
_NULLS = {"INT": -(2**31), "LONG": -(2**63)}

# A key in a column of another type (FLOAT, DATE) may be rounded there, and would not be found again.
_EXACT = ("BYTE", "SHORT", "INT", "LONG", "BOOLEAN", "SYMBOL", "VARCHAR", "STRING", "UUID", "TIMESTAMP", "TIMESTAMP_NS")

Convert = Callable[[Any], Any]


class UnstorableError(ValueError):
    """A value that its column cannot hold, though the contract allows it."""


class RowWriter:
    """Writes rows of one contract into buffers for one table.

    Args:
        table: Name of the table.
        contract: What the rows are.
        types: Column types of the live table, by name.
        timestamp: Its designated timestamp.

    Raises:
        StatementRejectedError: The table lacks a column, or has one that cannot hold its field.
    """

    def __init__(self, table: str, contract: Contract, types: Mapping[str, str], timestamp: str) -> None:
        _refuse_misfits(table, contract, types, timestamp)
        self.table = table
        self.timestamp = timestamp
        self.types = {name: types[name] for name in (*(field.name for field in contract.fields), SEQUENCE_COLUMN)}
        attributes = {name: f"f{index}" for index, name in enumerate(field.name for field in contract.fields)}
        attributes[SEQUENCE_COLUMN] = "sequence"
        self._time = attrgetter(attributes[timestamp])
        self._names = [name for name in attributes if name != timestamp]
        # The timestamp is asked for twice, so that attrgetter returns a tuple even where it is the only field.
        self._values = attrgetter(*(attributes[name] for name in self._names), attributes[timestamp])
        field_types = {field.name: field.type for field in contract.fields}
        self._conversions = {
            position: convert
            for position, name in enumerate(self._names)
            if name != SEQUENCE_COLUMN and (convert := _conversion(name, field_types[name], types[name]))
        }

        exact = [name for name in contract.key if name != timestamp and types[name] in _EXACT]
        self.identity = (SEQUENCE_COLUMN, timestamp, *exact)
        self._identity = [
            (attrgetter(attributes[name]), _as_read(field_types[name], types[name]) if name in field_types else None)
            for name in self.identity
        ]

    def identify(self, row: Any) -> tuple[Any, ...]:
        """Return what tells the row's message from all others, as a query of the columns `identity` would return it."""
        values = []
        for get, convert in self._identity:
            value = get(row)
            values.append(convert(value) if convert else value)
        return tuple(values)

    def add(self, buffer: Buffer, row: Any) -> None:
        """Append a row to a buffer; the buffer is as before when that fails.

        Raises:
            UnstorableError: A value does not fit its column.
        """
        from questdb import QuestDBError

        at = self._time(row)
        if at < _EPOCH:
            raise UnstorableError(
                f"{self.timestamp}: {at.isoformat()} is before 1970, which a designated timestamp cannot be"
            )
        values: list[Any] = list(self._values(row))
        for position, convert in self._conversions.items():
            if values[position] is not None:
                values[position] = convert(values[position])
        try:
            buffer.row(self.table, columns=dict(zip(self._names, values, strict=False)), at=at)
        except QuestDBError as error:
            raise UnstorableError(str(error)) from error

    def time_range(self, rows: Sequence[Any]) -> tuple[str, str]:
        """Return the first and the last event time of some rows, as the server reads them."""
        times = [self._time(row).astimezone(datetime.UTC) for row in rows] or [_EPOCH]
        return _sql_time(min(times)), _sql_time(max(times))


def _sql_time(at: datetime.datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def _refuse_misfits(table: str, contract: Contract, types: Mapping[str, str], timestamp: str) -> None:
    hint = "bring the table up to date with `thedata apply`"
    missing = [name for name in (*(field.name for field in contract.fields), SEQUENCE_COLUMN) if name not in types]
    if missing:
        raise StatementRejectedError(f"QuestDB table {table} has no column {', '.join(missing)}", hint=hint)
    for field in contract.fields:
        if types[field.name] not in WRITABLE[field.type]:
            raise StatementRejectedError(
                f"QuestDB table {table}: column {field.name} is {types[field.name]}, "
                f"which cannot hold {field.type} of contract {contract.name}",
                hint=hint,
            )
    if contract.field(timestamp) is None:
        raise StatementRejectedError(
            f"QuestDB table {table}: the designated timestamp {timestamp or '(none)'} is no field of "
            f"contract {contract.name}",
            hint=hint,
        )


def _conversion(name: str, field_type: FieldType, column_type: str) -> Convert | None:
    """Return what turns a value of a field into one that the client takes for that column; None for nothing to do."""
    if field_type in (FieldType.INT8, FieldType.INT16, FieldType.INT32, FieldType.INT64):
        return _integer(name, column_type)
    if field_type in (FieldType.FLOAT32, FieldType.FLOAT64):
        return _single(name) if column_type == "FLOAT" else float
    if field_type is FieldType.BOOLEAN:
        return None if column_type == "BOOLEAN" else (lambda value: "true" if value else "false")
    if field_type is FieldType.DATE:
        return lambda value: datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    if field_type is FieldType.UUID:
        return str
    if field_type is FieldType.JSON:
        return lambda value: bytes(value).decode()
    return None


def _as_read(field_type: FieldType, column_type: str) -> Convert | None:
    """Return what turns a value of a field into the one that a query of that column returns."""
    if field_type is FieldType.TIMESTAMP:
        return lambda value: value.astimezone(datetime.UTC)
    if field_type is FieldType.UUID and column_type == "UUID":
        return None
    if field_type is FieldType.STRING and column_type == "UUID":
        return uuid.UUID
    return _conversion("", field_type, column_type)


def _integer(name: str, column_type: str) -> Convert | None:
    if column_type == "DOUBLE":
        return float
    null = _NULLS.get(column_type)
    if null is None:
        return None

    def convert(value: int) -> int:
        if value == null:
            raise UnstorableError(
                f"{name}: {value} cannot be stored, as it means null in a column of type {column_type}"
            )
        return value

    return convert


def _single(name: str) -> Convert:
    def convert(value: float) -> float:
        if abs(value) > _LARGEST_FLOAT:
            raise UnstorableError(f"{name}: {value} is too large for a column of type FLOAT")
        return float(value)

    return convert
