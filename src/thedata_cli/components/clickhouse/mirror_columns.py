"""Values of a view as JSON that ClickHouse takes, by the type of their column."""

from __future__ import annotations

import datetime
import ipaddress
import math
import uuid
from decimal import Decimal
from functools import partial
from typing import Any

from thedata_cli.component_api.view_values import (
    Convert,
    Encoder,
    ValueRange,
    as_boolean,
    as_day,
    as_decimal,
    as_float,
    as_instant,
    as_integer,
    as_text,
    json_text,
)
from thedata_cli.components.clickhouse.column_types import (
    bare_type,
    day_range,
    instant_range,
    number_range,
    type_word,
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


def encoder(type_name: str, *, is_key: bool, has_all_years: bool) -> Encoder:
    """Return what converts values for a column of a type.

    Args:
        type_name: As the server spells it.
        is_key: Whether the column is in the key, where no value may be rounded.
        has_all_years: Whether the server's wide date types reach from year 1 to year 9999.

    Example:
        >>> encoder("Decimal(10, 2)", is_key=False, has_all_years=True).encode([1, 1.005])
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
        return (int,), limits, partial(as_integer, limits=limits)
    if word in _LONG_INTEGERS:
        return (), limits, lambda value: str(as_integer(value, limits=limits))
    if word in ("Float32", "Float64", "BFloat16"):
        return (float,), limits, partial(_float, limits=limits)
    if word == "Decimal" or word in _DECIMAL_WIDTHS:
        digits = _decimal_digits(bare)
        return (), None, lambda value: format(as_decimal(value, digits=digits, is_exact=is_key), "f")
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
        return (), None, partial(_fixed_text, size=int(_arguments(bare)[0]))
    if word in ("IPv4", "IPv6"):
        address = ipaddress.IPv4Address if word == "IPv4" else ipaddress.IPv6Address
        return (), None, lambda value: str(address(str(value)))
    if word in ("String", "Enum8", "Enum16", "Time", "Time64"):
        return (str,), None, as_text if is_key else _text
    return (), None, _composite


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


def _float(value: Any, *, limits: ValueRange | None) -> float | str:
    """Return a number; JSON has none for what is no number or infinite, and the server takes words."""
    number = as_float(value, limits=limits)
    if math.isnan(number):
        return "nan"
    return number if math.isfinite(number) else "inf" if number > 0 else "-inf"


def _fixed_text(value: Any, *, size: int) -> str:
    text = as_text(value)
    if len(text.encode()) > size:
        raise ValueError
    return text


def _text(value: Any) -> Any:
    """Return text; bytes as a JSON string of just these, which the server takes whether they are UTF-8 or not."""
    import json

    import msgspec

    if not isinstance(value, bytes):
        return as_text(value)
    return msgspec.Raw(json.dumps(value.decode("latin-1"), ensure_ascii=False).encode("latin-1"))


def _composite(value: Any) -> Any:
    """Leave arrays, maps, objects and numbers as JSON has them; the server judges them."""
    import msgspec

    if isinstance(value, dict | list | tuple):
        return msgspec.Raw(json_text(value))
    return value if isinstance(value, bool | int) else as_text(value)
