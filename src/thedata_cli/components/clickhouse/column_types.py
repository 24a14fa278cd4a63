"""The column types of contract fields, and the values that a column type can hold."""

from __future__ import annotations

import datetime
import re

from thedata_cli.component_api.contracts import ContractField, FieldType
from thedata_cli.component_api.view_values import ValueRange

_TYPES = {
    FieldType.STRING: "String",
    FieldType.BOOLEAN: "Bool",
    FieldType.INT8: "Int8",
    FieldType.INT16: "Int16",
    FieldType.INT32: "Int32",
    FieldType.INT64: "Int64",
    FieldType.FLOAT32: "Float32",
    FieldType.FLOAT64: "Float64",
    FieldType.DATE: "Date32",
    FieldType.TIMESTAMP: "DateTime64(6, 'UTC')",
    FieldType.UUID: "UUID",
    FieldType.JSON: "String",
}
SEQUENCE_TYPE = "UInt64"
VERSION_TYPE = "UInt64"
DELETED_TYPE = "UInt8"


def column_type(field: ContractField) -> str:
    """Return the type of a field's column.

    Example:
        >>> column_type(ContractField("carrier", FieldType.STRING, is_nullable=True, is_symbol=True))
        'LowCardinality(Nullable(String))'
    """
    name = _TYPES[field.type]
    if field.is_nullable or not field.is_required:
        name = f"Nullable({name})"
    if field.is_symbol and field.type is FieldType.STRING:
        name = f"LowCardinality({name})"
    return name


def bare_type(name: str) -> str:
    """Return a type without its `Nullable` and `LowCardinality`.

    Example:
        >>> bare_type("LowCardinality(Nullable(String))")
        'String'
    """
    while match := re.fullmatch(r"(?:Nullable|LowCardinality)\((.*)\)", name, re.DOTALL):
        name = match[1]
    return name


def _utc(*parts: int) -> datetime.datetime:
    return datetime.datetime(*parts, tzinfo=datetime.UTC)  # type: ignore[misc,arg-type]


_WIDTHS = (8, 16, 32, 64, 128, 256)
_FLOAT32_MAX = 3.4028234663852886e38
_NUMBERS = {
    **{f"Int{bits}": ValueRange(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in _WIDTHS},
    **{f"UInt{bits}": ValueRange(0, 2**bits - 1) for bits in _WIDTHS},
    "Float32": ValueRange(-_FLOAT32_MAX, _FLOAT32_MAX),
    "BFloat16": ValueRange(-3.3895313892515355e38, 3.3895313892515355e38),
    "DateTime": ValueRange(0, 2**32 - 1),
}
_DAYS = {
    "Date": ValueRange(datetime.date(1970, 1, 1), datetime.date(2149, 6, 6)),
    "DateTime": ValueRange(datetime.date(1970, 1, 1), datetime.date(2106, 2, 6)),
}
_INSTANTS = {
    "Date": ValueRange(_utc(1970, 1, 1), _utc(2149, 6, 6, 23, 59, 59, 999999)),
    "DateTime": ValueRange(_utc(1970, 1, 1), _utc(2106, 2, 7, 6, 28, 15, 999999)),
}
# Servers before the range was widened to all years cut wider ones off.
_WIDE = ("Date32", "DateTime64")
_CENTURY_DAYS = ValueRange(datetime.date(1900, 1, 1), datetime.date(2299, 12, 31))
_CENTURY_INSTANTS = ValueRange(_utc(1900, 1, 1), _utc(2299, 12, 31, 23, 59, 59, 999999))


def value_range(field: FieldType, column: str, *, has_all_years: bool) -> ValueRange | None:
    """Return the values of a field that its column can hold; None when that is every value, or the server checks it.

    Args:
        field: What the contract lets through.
        column: Type of the column.
        has_all_years: Whether the server's wide date types reach from year 1 to year 9999.

    Example:
        >>> value_range(FieldType.INT32, "Nullable(UInt8)", has_all_years=True)
        ValueRange(low=0, high=255)
    """
    name = type_word(bare_type(column))
    if field is FieldType.DATE:
        return day_range(name, has_all_years=has_all_years)
    if field is FieldType.TIMESTAMP:
        return instant_range(name, has_all_years=has_all_years)
    if field in (FieldType.FLOAT32, FieldType.FLOAT64):
        return number_range(name) if "Float" in name and field is FieldType.FLOAT64 else None
    if field in _TYPES and _TYPES[field].startswith("Int") and name != _TYPES[field]:
        return number_range(name)
    return None


def type_word(name: str) -> str:
    """Return a type without its arguments.

    Example:
        >>> type_word("DateTime64(6, 'UTC')")
        'DateTime64'
    """
    return re.sub(r"\(.*", "", name, flags=re.DOTALL)


def number_range(word: str) -> ValueRange | None:
    """Return the numbers that a type holds; None for a type of which the server checks it."""
    return _NUMBERS.get(word)


def day_range(word: str, *, has_all_years: bool) -> ValueRange | None:
    """Return the dates that a type holds."""
    return _CENTURY_DAYS if word in _WIDE and not has_all_years else _DAYS.get(word)


def instant_range(word: str, *, has_all_years: bool) -> ValueRange | None:
    """Return the instants that a type holds."""
    return _CENTURY_INSTANTS if word in _WIDE and not has_all_years else _INSTANTS.get(word)
