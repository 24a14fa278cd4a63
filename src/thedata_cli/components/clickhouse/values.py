"""Values of results: from the JSON that the server sends to Python objects, by the type of their column."""

from __future__ import annotations

import datetime
import ipaddress
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from thedata_cli.components.clickhouse.sql import split_list

RESULT_FORMAT = "JSONCompactEachRowWithNamesAndTypes"
RESULT_SETTINGS = {
    "default_format": RESULT_FORMAT,
    "http_write_exception_in_output_format": "0",
    "date_time_output_format": "iso",
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_quote_decimals": "1",
    "output_format_json_quote_denormals": "1",
    "output_format_json_named_tuples_as_objects": "0",
    "output_format_json_validate_utf8": "1",
}
"""Numbers, times and texts in the one form that loses nothing; bytes that are not UTF-8 become U+FFFD."""

Convert = Callable[[Any], Any]


def converter(type_name: str) -> Convert | None:
    """Return what makes a Python object of a JSON value; None when it is one already.

    Times become aware datetimes in UTC, of which Python keeps microseconds.

    Example:
        >>> converter("Array(Nullable(Date))")(["2013-01-01", None])
        [datetime.date(2013, 1, 1), None]
    """
    name, arguments = _split_type(type_name)
    if name in ("Nullable", "LowCardinality"):
        return converter(arguments[0])
    if name == "SimpleAggregateFunction":
        return converter(arguments[-1])
    if name in ("Array", "Map", "Tuple", "Nested"):
        return _nested(name, arguments)
    simple = _SIMPLE.get(name)
    return _unless_null(simple) if simple else None


def _split_type(type_name: str) -> tuple[str, list[str]]:
    match = re.fullmatch(r"(\w+)\((.*)\)", type_name, re.DOTALL)
    return (match[1], split_list(match[2])) if match else (type_name, [])


def _unless_null(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _whole(value: object) -> object:
    return value if isinstance(value, int) else int(str(value))


_SIMPLE: dict[str, Convert] = {
    "Date": datetime.date.fromisoformat,
    "Date32": datetime.date.fromisoformat,
    "DateTime": datetime.datetime.fromisoformat,
    "DateTime64": datetime.datetime.fromisoformat,
    "UUID": uuid.UUID,
    "IPv4": ipaddress.IPv4Address,
    "IPv6": ipaddress.IPv6Address,
    **dict.fromkeys(("Decimal", "Decimal32", "Decimal64", "Decimal128", "Decimal256"), Decimal),
    **dict.fromkeys(("Float32", "Float64", "BFloat16"), float),
    **dict.fromkeys(("Int128", "UInt128", "Int256", "UInt256"), _whole),
}


def _nested(name: str, arguments: list[str]) -> Convert | None:
    if name == "Array":
        return _array(converter(arguments[0]))
    if name == "Map":
        return _map(_key_converter(arguments[0]), converter(arguments[1]))
    elements = [converter(_element_type(argument)) for argument in arguments]
    each = _tuple(elements)
    return _array(each) if name == "Nested" else each


def _element_type(argument: str) -> str:
    """Return the type of a tuple's element, its name left out."""
    match = re.fullmatch(r"(?:`(?:[^`\\]|\\.)*`|\w+) +(.*)", argument, re.DOTALL)
    return match[1] if match else argument


def _array(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    return _unless_null(lambda values: [convert(value) for value in values])


def _tuple(converters: list[Convert | None]) -> Convert:
    def convert(values: Any) -> Any:
        pairs = zip(converters, values, strict=True)
        return tuple(element(value) if element else value for element, value in pairs)

    return _unless_null(convert)


def _map(key: Convert | None, value: Convert | None) -> Convert | None:
    if key is None and value is None:
        return None

    def convert(mapping: Any) -> Any:
        return {(key(k) if key else k): (value(v) if value else v) for k, v in mapping.items()}

    return _unless_null(convert)


def _key_converter(type_name: str) -> Convert | None:
    """Return what reads a key, which JSON always writes as a string."""
    name, arguments = _split_type(type_name)
    if name == "LowCardinality":
        return _key_converter(arguments[0])
    if re.match(r"U?Int\d|Interval", name):
        return int
    if name == "Bool":
        return lambda text: text == "true"
    if name.startswith("Enum") or name in ("String", "FixedString"):
        return None
    return converter(type_name)
