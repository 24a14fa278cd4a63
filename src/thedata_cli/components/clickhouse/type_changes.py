"""What a change of a column's type does to the values that are there."""

from __future__ import annotations

import re
from enum import Enum

from thedata_cli.components.clickhouse.column_types import bare_type


class TypeChange(Enum):
    """How the values of a column get from one type to another."""

    KEEPS = "every value has its equal"
    CASTS = "values are cast; those that do not fit become others"
    CHECKED = "a value that does not fit would leave the column unreadable, so that this is checked first"
    ANEW = "the server has no cast, or none that is safe: the column is dropped and added"


_WIDTHS = (8, 16, 32, 64, 128, 256)
_WIDENING = {
    "Bool": ("UInt8", "UInt16", "UInt32", "UInt64"),
    "Date": ("Date32",),
    "Float32": ("Float64",),
    **{f"Int{bits}": tuple(f"Int{wider}" for wider in _WIDTHS if wider > bits) for bits in _WIDTHS},
    **{
        f"UInt{bits}": tuple(f"{sign}Int{wider}" for sign in ("U", "") for wider in _WIDTHS if wider > bits)
        for bits in _WIDTHS
    },
}
_FAMILIES = {
    "number": r"U?Int\d+|Float\d+|BFloat16|Bool",
    "decimal": r"Decimal.*",
    "date": r"Date|Date32|DateTime.*",
    "enum": r"Enum.*",
    "text": r"String",
    "fixed": r"FixedString.*",
    "address": r"UUID|IPv4|IPv6",
}
_CASTS = {("number", "number"), ("date", "date"), ("enum", "enum")}
_CHECKED = {("decimal", "decimal"), ("decimal", "number"), ("number", "decimal")} | {
    ("text", family) for family in ("number", "decimal", "date", "fixed", "address")
}
_ALWAYS_TEXT = ("number", "decimal", "date", "enum", "address")


def type_change(before: str, after: str) -> TypeChange:
    """Say what happens to the values; NULLs are another matter, see `loses_nulls`.

    Example:
        >>> type_change("Int16", "Nullable(Int32)").name, type_change("String", "UUID").name
        ('KEEPS', 'CHECKED')
    """
    old, new = bare_type(before), bare_type(after)
    families = _family(old), _family(new)
    if old == new or new in _WIDENING.get(old, ()) or (new == "String" and families[0] in _ALWAYS_TEXT):
        return TypeChange.KEEPS
    if families in _CASTS or families == ("fixed", "text"):
        return TypeChange.CASTS
    if families in _CHECKED and new != "Bool":
        return TypeChange.CHECKED
    return TypeChange.ANEW


def loses_nulls(before: str, after: str) -> bool:
    """Tell whether NULLs of a column become its default.

    Example:
        >>> loses_nulls("LowCardinality(Nullable(String))", "String")
        True
    """
    return _is_nullable(before) and not _is_nullable(after)


def _is_nullable(name: str) -> bool:
    return name.startswith(("Nullable(", "LowCardinality(Nullable("))


def _family(name: str) -> str:
    found = (family for family, pattern in _FAMILIES.items() if re.fullmatch(pattern, name, re.DOTALL))
    return next(found, "")
