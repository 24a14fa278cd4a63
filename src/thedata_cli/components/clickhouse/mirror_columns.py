"""Values of a view as JSON that a column takes: from Python objects, by the type of the column.

A whole column is converted at once, because most need nothing done: their types and their range are looked at only.
"""

from __future__ import annotations

import datetime
import ipaddress
import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from thedata_cli.components.clickhouse.column_types import (
    ValueRange,
    bare_type,
    day_range,
    instant_range,
    number_range,
    type_word,
)
from thedata_cli.components.clickhouse.mirror_values import (
    as_boolean,
    as_day,
    as_decimal,
    as_fixed_text,
    as_float,
    as_instant,
    as_integer,
    as_json,
    as_key_text,
    as_text,
)
from thedata_cli.components.clickhouse.sql import split_list
from thedata_cli.components.clickhouse.values import converter

_MICROSECOND_DIGITS = 6
_SHORT_INTEGERS = tuple(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
_LONG_INTEGERS = tuple(f"{sign}Int{bits}" for sign in ("", "U") for bits in (128, 256))
_DECIMAL_WIDTHS = {"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}

KEY_TYPES = (
    *_SHORT_INTEGERS, *_LONG_INTEGERS, "Bool", "String", "FixedString", "Enum8", "Enum16", "UUID", "IPv4", "IPv6",
    "Date", "Date32", "DateTime", "DateTime64", "Decimal", *_DECIMAL_WIDTHS,
)  # fmt: skip
"""Types whose values come back from the server as they went in, so that keys can be compared."""

Convert = Callable[[Any], Any]


class MisfitError(ValueError):
    """A value that a column cannot hold.

    Attributes:
        position: Of the value, among those that were converted.
    """

    def __init__(self, position: int, value: object) -> None:
        super().__init__(f"{value!r} does not fit")
        self.position = position
        self.value = value


@dataclass(frozen=True)
class Encoder:
    """Converts the values of one column.

    Attributes:
        type_name: Type of the column.
        is_nullable: Whether it can hold null.
        plain: Python types that need no conversion, but for the range.
        range: What the column holds of those.
        convert: Converts one value; raises ValueError when it does not fit.
    """

    type_name: str
    is_nullable: bool
    plain: frozenset[type]
    range: ValueRange | None
    convert: Convert

    def encode(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return values as JSON of the column.

        Raises:
            MisfitError: One does not fit.
        """
        types = set(map(type, values))
        present: Sequence[Any] = values
        if type(None) in types:
            if not self.is_nullable:
                raise MisfitError(values.index(None), None)
            types.discard(type(None))
            present = [value for value in values if value is not None]
        if types <= self.plain and self._are_held(present):
            return values
        encoded = []
        for position, value in enumerate(values):
            try:
                encoded.append(None if value is None else self.convert(value))
            except (ValueError, ArithmeticError) as error:
                raise MisfitError(position, value) from error
        return encoded

    def _are_held(self, values: Sequence[Any]) -> bool:
        if float in self.plain and not all(map(math.isfinite, values)):
            return False
        return (
            not values or self.range is None or bool(self.range.low <= min(values) and max(values) <= self.range.high)
        )


def encoder(type_name: str, *, is_key: bool, has_all_years: bool) -> Encoder:
    """Return what converts values for a column of a type.

    Args:
        type_name: As the server spells it.
        is_key: Whether the column is in the key, where no value may be rounded.
        has_all_years: Whether the server's wide date types reach from year 1 to year 9999.

    Example:
        >>> encoder("Decimal(10, 2)", is_key=False, has_all_years=True).encode([1, 1.005, None, Decimal("2.345")][:2])
        ['1.00', '1.01']
    """
    bare = bare_type(type_name)
    word = type_word(bare)
    plain, limits, convert = _number(bare, is_key) or _time(bare, is_key, has_all_years) or _other(bare, is_key)
    is_nullable = "Nullable(" in type_name[: type_name.index(bare)] or word in ("Variant", "Dynamic")
    return Encoder(type_name, is_nullable, frozenset(plain), limits, convert)


_Parts = tuple[tuple[type, ...], ValueRange | None, Convert]
"""What is plain, the range of it, and the conversion of all else."""


def _number(bare: str, is_key: bool) -> _Parts | None:
    word = type_word(bare)
    limits = number_range(word)
    if word in _SHORT_INTEGERS:
        return (int,), limits, partial(as_integer, limits=limits, is_text=False)
    if word in _LONG_INTEGERS:
        return (), limits, partial(as_integer, limits=limits, is_text=True)
    if word in ("Float32", "Float64", "BFloat16"):
        return (float,), limits, partial(as_float, limits=limits)
    if word == "Decimal" or word in _DECIMAL_WIDTHS:
        return (), None, partial(as_decimal, digits=_decimal_digits(bare), is_exact=is_key)
    return ((bool,), None, as_boolean) if word == "Bool" else None


def _time(bare: str, is_key: bool, has_all_years: bool) -> _Parts | None:
    word = type_word(bare)
    if word in ("Date", "Date32"):
        limits = day_range(word, has_all_years=has_all_years)
        return (datetime.date,), limits, partial(as_day, limits=limits, is_exact=is_key)
    if word in ("DateTime", "DateTime64"):
        limits = instant_range(word, has_all_years=has_all_years)
        return (), limits, partial(as_instant, limits=limits, unit_us=_unit_us(bare) if is_key else 1)
    return None


def _other(bare: str, is_key: bool) -> _Parts:
    word = type_word(bare)
    if word == "UUID":
        return (uuid.UUID,), None, lambda value: uuid.UUID(str(value))
    if word == "FixedString":
        return (), None, partial(as_fixed_text, size=int(_arguments(bare)[0]))
    if word in ("IPv4", "IPv6"):
        address = ipaddress.IPv4Address if word == "IPv4" else ipaddress.IPv6Address
        return (), None, lambda value: str(address(str(value)))
    if word in ("String", "Enum8", "Enum16", "Time", "Time64"):
        return (str,), None, as_key_text if is_key else as_text
    return (), None, as_json


def as_key(type_name: str) -> Convert | None:
    """Return what makes encoded values of a key column equal where the server holds the same; None: they are."""
    word = type_word(bare_type(type_name))
    if word == "Decimal" or word in _DECIMAL_WIDTHS:
        return Decimal
    if word in _LONG_INTEGERS:
        return int
    if word in ("IPv4", "IPv6"):
        return ipaddress.ip_address
    return None


def as_read_key(type_name: str) -> Convert | None:
    """Return what makes values of a key column, as the server writes them, equal to those of `as_key`."""
    word = type_word(bare_type(type_name))
    if word == "FixedString":
        return lambda text: text.rstrip("\0")
    return _read_instant if word == "DateTime64" else converter(type_name)


def _read_instant(text: str) -> object:
    """Read an instant; one that is finer than Python's stays text, which no instant of a view is equal to."""
    fraction = text.partition(".")[2].rstrip("Z")
    return text if fraction[_MICROSECOND_DIGITS:].strip("0") else datetime.datetime.fromisoformat(text)


def _arguments(bare: str) -> list[str]:
    return split_list(bare[bare.index("(") + 1 : -1]) if "(" in bare else []


def _decimal_digits(bare: str) -> tuple[int, int]:
    """Return how many digits a decimal type has in front of the point, and behind it."""
    arguments = [int(text) for text in _arguments(bare)]
    digits = _DECIMAL_WIDTHS.get(type_word(bare), arguments[0])
    return digits - arguments[-1], arguments[-1]


def _unit_us(bare: str) -> int:
    """Return how many microseconds the unit of a time type has; 1 where it is finer."""
    arguments = _arguments(bare) if bare.startswith("DateTime64") else ["0"]
    unit: int = 10 ** max(_MICROSECOND_DIGITS - int(arguments[0]), 0)
    return unit
