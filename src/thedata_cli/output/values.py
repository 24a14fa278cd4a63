"""How the values of a result are written: as text for people and CSV, and as JSON. One table of rules for both.

    value                  text                            JSON
    NULL                   left to the format              null
    boolean                true                            true
    integer, any size      every digit                     number, every digit
    decimal                every digit, no exponent        number, every digit
    float                  shortest text that reads back   the same; NaN and infinities are null
                           the same; NaN, Infinity
    date and time          RFC 3339 in UTC, `…Z`           the same, a string
    date, time, UUID, IP   their usual text                the same, a string
    duration               ISO 8601, `PT1.5S`              the same, a string
    bytes                  0x and hexadecimal digits       base64 string
    array, tuple, set      JSON                            array
    map                    JSON                            object, keys as text

Times without a zone are taken as UTC, which is what the engines of the stack keep.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    import msgspec


@cache
def json_encoder() -> msgspec.json.Encoder:
    """Return the encoder that follows the rules of this module, for values that went through `json_value`."""
    import msgspec

    return msgspec.json.Encoder(decimal_format="number", enc_hook=str)


def json_value(value: Any) -> Any:
    """Return the value in a form that `json_encoder` writes as this module promises.

    Example:
        >>> json_encoder().encode(json_value({"a": (Decimal("1.10"), float("nan")), 2: b"hi"}))
        b'{"a":[1.10,null],"2":"aGk="}'
    """
    kind = type(value)
    if kind in _JSON_AS_IS:
        return value
    if kind is datetime.datetime:
        return _in_utc(value)
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, Mapping):
        return {_key(key): json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_value(item) for item in value]
    return value


def json_column(values: Sequence[Any]) -> Sequence[Any]:
    """Do `json_value` for a whole column; free of charge where every value is as it should be already."""
    if _JSON_AS_IS.issuperset(map(type, values)):
        return values
    return list(map(json_value, values))


def text(value: Any) -> str:
    r"""Return the value as text.

    Example:
        >>> text(Decimal("0E-8")), text(True), text([1, None]), text(b"\x00\xff"), text(float("-inf"))
        ('0.00000000', 'true', '[1,null]', '0x00ff', '-Infinity')
    """
    return _TEXT.get(type(value), _other_text)(value)


def text_column(values: Sequence[Any]) -> Sequence[str | None]:
    """Do `text` for a whole column; None stays None."""
    kinds = set(map(type, values))
    if kinds <= {str, type(None)}:
        return values
    in_bulk = _numbers_in_bulk(values) if kinds <= _NUMBERS else _times_in_bulk(values) if kinds <= _TIMES else None
    if in_bulk is not None:
        return in_bulk
    return [None if value is None else _TEXT.get(type(value), _other_text)(value) for value in values]


def _numbers_in_bulk(values: Sequence[Any]) -> list[str | None] | None:
    """Let the JSON encoder write a column of numbers, several times faster; None where it would write one otherwise."""
    written = json_encoder().encode(values)[1:-1].decode()
    if written.count("null") != values.count(None) or not _UNLIKE_NUMBERS.isdisjoint(written):
        return None
    return [None if number == "null" else number for number in written.split(",")]


def _times_in_bulk(values: Sequence[Any]) -> list[str | None]:
    """Do the same for a column of times, which have no comma or quote inside."""
    written = json_encoder().encode([value and _in_utc(value) for value in values])[1:-1].decode()
    return [None if time == "null" else time for time in written.replace('"', "").split(",")]


def are_numbers(values: Sequence[Any]) -> bool:
    """Tell whether a column holds numbers; NULLs do not count, and a column of only NULLs does not."""
    kinds = set(map(type, values)) - {type(None)}
    return bool(kinds) and kinds <= {int, float, Decimal}


def _in_utc(value: datetime.datetime) -> datetime.datetime:
    if value.tzinfo is datetime.UTC:
        return value
    return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)


def _key(key: Any) -> str:
    return key if type(key) is str else text(key)


def _float_text(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _datetime_text(value: datetime.datetime) -> str:
    return _in_utc(value).replace(tzinfo=None).isoformat() + "Z"


def _json_text(value: Any) -> str:
    return json_encoder().encode(json_value(value)).decode()


def _duration_text(value: datetime.timedelta) -> str:
    return _json_text(value).strip('"')


def _bytes_text(value: bytes | bytearray | memoryview) -> str:
    return "0x" + bytes(value).hex()


def _other_text(value: Any) -> str:
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _json_text(value)
    return str(value)


_JSON_AS_IS = frozenset(
    {type(None), bool, int, float, str, bytes, UUID, datetime.date, datetime.time, datetime.timedelta}
)

_NUMBERS = frozenset({int, float, Decimal, type(None)})
_TIMES = frozenset({datetime.datetime, type(None)})

# The E of a decimal's exponent, and the first letters of its NaN, sNaN and Infinity.
_UNLIKE_NUMBERS = frozenset("ENsI")

_TEXT: dict[type, Callable[[Any], str]] = {
    type(None): lambda _value: "NULL",
    bool: lambda value: "true" if value else "false",
    int: str,
    float: _float_text,
    str: str,
    Decimal: lambda value: format(value, "f"),
    datetime.datetime: _datetime_text,
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
    datetime.timedelta: _duration_text,
    bytes: _bytes_text,
    bytearray: _bytes_text,
    memoryview: _bytes_text,
    UUID: str,
}
