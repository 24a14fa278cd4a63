"""Column types of QuestDB: their names, what turns into what, and which one a field of a contract gets."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from thedata_cli.component_api.contracts import ContractField, FieldType
from thedata_cli.component_api.declarations import Model
from thedata_cli.plan.resources import Spec

_NUMBERS = ("BOOLEAN", "BYTE", "SHORT", "INT", "LONG", "FLOAT", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMP_NS")
_TEXTS = ("SYMBOL", "VARCHAR", "STRING")
_FROM_TEXT = ("CHAR", "UUID", "IPV4")
_OTHERS = ("LONG256", "BINARY")
_PARAMETRIC = re.compile(r"DECIMAL\(([1-9]\d?),(\d{1,2})\)|GEOHASH\(([1-9]\d?)([CB])\)|DOUBLE(?:\[\]){1,32}")

TIMESTAMPS = ("TIMESTAMP", "TIMESTAMP_NS")

DEFAULT_SYMBOL_CAPACITY = 256

_WIDER = {
    "BOOLEAN": ("BYTE", "SHORT", "INT", "LONG"),
    "BYTE": ("SHORT", "INT", "LONG", "FLOAT", "DOUBLE"),
    "SHORT": ("INT", "LONG", "FLOAT", "DOUBLE"),
    "INT": ("LONG", "DOUBLE"),
    "FLOAT": ("DOUBLE",),
    "DATE": ("TIMESTAMP",),
}

# `?` and friends name files on disk, or mean something in the line protocol.
_BAD_IN_NAMES = re.compile(r"""[?.,'"\\/:)(+*%~\-\x00-\x1f\x7f\ufeff]""")


def column_type(text: str) -> str:
    """Return a column type in the server's spelling.

    Raises:
        ValueError: QuestDB has no such column type.

    Example:
        >>> column_type("ipv4"), column_type("decimal(18, 3)"), column_type("double[]")
        ('IPv4', 'DECIMAL(18,3)', 'DOUBLE[]')
    """
    name = re.sub(r"\s+", "", text.upper())
    if name == "IPV4":
        return "IPv4"
    if name in (*_NUMBERS, *_TEXTS, *_FROM_TEXT, *_OTHERS):
        return name
    match = _PARAMETRIC.fullmatch(name)
    if match and match[1]:
        precision, scale = int(match[1]), int(match[2])
        if precision <= 76 and scale <= precision:
            return name
    elif match and match[3]:
        bits = int(match[3]) * (5 if match[4] == "C" else 1)
        if bits <= 60:
            return f"GEOHASH({_geohash_size(bits)})"
    elif match:
        return name
    known = ", ".join((*_NUMBERS, *_TEXTS, "CHAR", "UUID", "IPv4", *_OTHERS))
    raise ValueError(f"{text!r} is no QuestDB column type; known: {known}, DECIMAL(p,s), GEOHASH(8c), DOUBLE[]")


def _geohash_size(bits: int) -> str:
    """Write a precision as the server does: in characters where they are whole."""
    return f"{bits // 5}c" if bits % 5 == 0 else f"{bits}b"


def bad_column_name(name: str) -> str:
    """Return why QuestDB does not take a name for a column; empty when it does."""
    if bad := _BAD_IN_NAMES.search(name):
        return f"QuestDB does not allow {bad[0]!r} in the column name {name!r}"
    if not name.strip() or len(name.encode()) > 127:
        return f"QuestDB does not allow the column name {name!r}: it is blank, or longer than 127 bytes"
    return ""


def _checked_name(name: str) -> str:
    if reason := bad_column_name(name):
        raise ValueError(reason)
    return name


class Column(Model):
    """One column in QuestDB's own words."""

    name: Annotated[str, AfterValidator(_checked_name)]
    """Name of the column; case does not tell two apart."""

    type: Annotated[str, AfterValidator(column_type)]
    """A column type of QuestDB, such as `VARCHAR`, `SYMBOL`, `DECIMAL(18,3)`."""

    index: bool = False
    """Whether a SYMBOL column has an index."""

    symbol_capacity: Annotated[int, Field(ge=2, le=2**28)] = DEFAULT_SYMBOL_CAPACITY
    """Distinct values a SYMBOL column begins with; the server rounds it up to a power of two and lets it grow."""

    symbol_cache: bool = True
    """Whether a SYMBOL column keeps its values on the Java heap, which is faster."""

    @property
    def spec(self) -> Spec:
        """The column as the server would give it back."""
        if self.type != "SYMBOL":
            return {"type": self.type}
        return {
            "type": "SYMBOL",
            "indexed": self.index,
            "symbol_cache": self.symbol_cache,
            "symbol_capacity": 1 << (self.symbol_capacity - 1).bit_length(),
        }

    @property
    def has_symbol_settings(self) -> bool:
        """Whether it has a setting that only a SYMBOL column can have."""
        return self.index or not self.symbol_cache or self.symbol_capacity != DEFAULT_SYMBOL_CAPACITY


def column_of_field(field: ContractField) -> Column:
    """Return the column that holds a field of a contract.

    BOOLEAN, BYTE and SHORT of QuestDB have no null, so that a nullable field gets the next type that has one.
    """
    if field.type is FieldType.STRING:
        return Column(name=field.name, type="SYMBOL" if field.is_symbol else "VARCHAR")
    can_be_null = field.is_nullable or not field.is_required
    plain = {
        FieldType.BOOLEAN: "SYMBOL" if can_be_null else "BOOLEAN",
        FieldType.INT8: "INT" if can_be_null else "BYTE",
        FieldType.INT16: "INT" if can_be_null else "SHORT",
        FieldType.INT32: "INT",
        FieldType.INT64: "LONG",
        FieldType.FLOAT32: "FLOAT",
        FieldType.FLOAT64: "DOUBLE",
        FieldType.DATE: "DATE",
        FieldType.TIMESTAMP: "TIMESTAMP",
        FieldType.UUID: "UUID",
        FieldType.JSON: "VARCHAR",
    }
    return Column(name=field.name, type=plain[field.type])


WRITABLE: dict[FieldType, tuple[str, ...]] = {
    FieldType.STRING: ("VARCHAR", "SYMBOL", "STRING", "UUID", "IPv4"),
    FieldType.BOOLEAN: ("BOOLEAN", "SYMBOL", "VARCHAR", "STRING"),
    FieldType.INT8: ("BYTE", "SHORT", "INT", "LONG", "DOUBLE"),
    FieldType.INT16: ("SHORT", "INT", "LONG", "DOUBLE"),
    FieldType.INT32: ("INT", "LONG", "DOUBLE"),
    FieldType.INT64: ("LONG",),
    FieldType.FLOAT32: ("FLOAT", "DOUBLE"),
    FieldType.FLOAT64: ("DOUBLE", "FLOAT"),
    FieldType.DATE: ("DATE", "TIMESTAMP"),
    FieldType.TIMESTAMP: ("TIMESTAMP", "TIMESTAMP_NS", "DATE"),
    FieldType.UUID: ("UUID", "VARCHAR", "SYMBOL", "STRING"),
    FieldType.JSON: ("VARCHAR", "STRING"),
}
"""Column types into which the writer can put a field of a contract."""


def has_null(type_: str) -> bool:
    """Say whether a column of that type can hold null."""
    return type_ not in ("BOOLEAN", "BYTE", "SHORT")


def converts(before: str, after: str) -> bool:
    """Say whether the server can change a column's type and keep its values (tried on 9.3.4, every pair)."""
    if before in _TEXTS:
        return after in (*_NUMBERS, *_TEXTS, "CHAR", "UUID", "IPv4")
    if before in _NUMBERS:
        return after in (*_NUMBERS, *_TEXTS)
    return before in ("CHAR", "UUID", "IPv4") and after in _TEXTS


def keeps_values(before: str, after: str) -> bool:
    """Say whether every value survives such a change."""
    return after in _TEXTS or after in _WIDER.get(before, ())
