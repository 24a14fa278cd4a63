"""Values of a view as the line protocol takes them, by the type of their column."""

from __future__ import annotations

import datetime
import ipaddress
import re
import uuid
from functools import partial
from typing import Any

from thedata_cli.component_api.view_values import (
    Convert,
    Encoder,
    ValueRange,
    as_boolean,
    as_decimal,
    as_float,
    as_instant,
    as_integer,
    as_text,
    held,
)
from thedata_cli.components.questdb.columns import has_null


def _utc(*parts: int) -> datetime.datetime:
    return datetime.datetime(*parts, tzinfo=datetime.UTC)  # type: ignore[misc,arg-type]


_LARGEST_FLOAT = 3.4028234663852886e38
_RANGES = {
    "BYTE": ValueRange(-(2**7), 2**7 - 1),
    "SHORT": ValueRange(-(2**15), 2**15 - 1),
    # The smallest number means null.
    "INT": ValueRange(-(2**31) + 1, 2**31 - 1),
    "LONG": ValueRange(-(2**63) + 1, 2**63 - 1),
    "FLOAT": ValueRange(-_LARGEST_FLOAT, _LARGEST_FLOAT),
    "TIMESTAMP_NS": ValueRange(_utc(1677, 9, 22), _utc(2262, 4, 11)),
}
_DESIGNATED = {
    "TIMESTAMP": ValueRange(_utc(1970, 1, 1), _utc(9999, 12, 31, 23, 59, 59, 999999)),
    "TIMESTAMP_NS": ValueRange(_utc(1970, 1, 1), _utc(2262, 4, 11)),
}
_INTEGERS = ("BYTE", "SHORT", "INT", "LONG")
_TEXTS = ("SYMBOL", "VARCHAR", "STRING")
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")

Parts = tuple[tuple[type, ...], ValueRange | None, Convert]
"""What is plain, the range of it, and the conversion of all else."""


def is_key_type(type_: str) -> bool:
    """Say whether values come back from a column as they went in, so that keys can be compared.

    TIMESTAMP_NS does not: the wire has microseconds.
    """
    exact = (*_INTEGERS, *_TEXTS, "BOOLEAN", "CHAR", "UUID", "IPv4", "DATE", "TIMESTAMP")
    return type_ in exact or _DECIMAL.fullmatch(type_) is not None


def is_decimal(type_: str) -> bool:
    """Say whether a type is decimal, for which the line protocol needs its newest version."""
    return _DECIMAL.fullmatch(type_) is not None


def encoder(type_: str, *, is_key: bool, is_designated: bool) -> Encoder | None:
    """Return what converts values for a column of a type; None for one that cannot be written.

    Args:
        type_: In the server's spelling.
        is_key: Whether the column is in the key, where no value may be rounded.
        is_designated: Whether it is the designated timestamp, which is never null and begins with 1970.

    Example:
        >>> written = encoder("DECIMAL(10,2)", is_key=False, is_designated=False)
        >>> written.encode([1, 1.005, None])
        [Decimal('1.00'), Decimal('1.01'), None]
    """
    parts = _number(type_, is_key) or _time(type_, is_key, is_designated) or _text(type_)
    if parts is None:
        return None
    plain, limits, convert = parts
    return Encoder(type_, has_null(type_) and not is_designated, frozenset(plain), limits, convert)


def _number(type_: str, is_key: bool) -> Parts | None:
    limits = _RANGES.get(type_)
    if type_ in _INTEGERS:
        return (int,), limits, partial(as_integer, limits=limits)
    if type_ in ("FLOAT", "DOUBLE"):
        return (float,), limits, partial(as_float, limits=limits)
    if match := _DECIMAL.fullmatch(type_):
        digits = int(match[1]) - int(match[2]), int(match[2])
        return (), None, partial(as_decimal, digits=digits, is_exact=is_key)
    return ((bool,), None, as_boolean) if type_ == "BOOLEAN" else None


def _time(type_: str, is_key: bool, is_designated: bool) -> Parts | None:
    limits = _DESIGNATED[type_] if is_designated else _RANGES.get(type_)
    if type_ in ("TIMESTAMP", "TIMESTAMP_NS"):
        return (), limits, partial(as_instant, limits=limits, unit_us=1)
    return ((), None, partial(as_instant, limits=None, unit_us=1000 if is_key else 1)) if type_ == "DATE" else None


def _text(type_: str) -> Parts | None:
    if type_ in _TEXTS:
        return (str,), None, as_text
    if type_ == "UUID":
        return (), None, lambda value: str(uuid.UUID(str(value)))
    if type_ == "IPv4":
        return (), None, _address
    if type_ == "CHAR":
        return (), None, _character
    return None


def _address(value: Any) -> str:
    """Return an address; QuestDB has null for 0.0.0.0."""
    address = ipaddress.IPv4Address(str(value))
    held(int(address), ValueRange(1, 2**32 - 1))
    return str(address)


def _character(value: Any) -> str:
    text = as_text(value)
    if len(text) != 1 or not text.isascii():
        raise ValueError
    return text
