"""Values of a view as JSON that ClickHouse takes, one at a time; a ValueError says that one does not fit its column."""

from __future__ import annotations

import datetime
import math
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from thedata_cli.components.clickhouse.column_types import ValueRange

_EXACT = Context(prec=80)
_MICROSECOND_DIGITS = 6


def _held(value: Any, limits: ValueRange | None) -> Any:
    if limits is not None and not limits.low <= value <= limits.high:
        raise ValueError
    return value


def as_integer(value: Any, *, limits: ValueRange | None, is_text: bool) -> int | str:
    """Return a whole number, as text where JSON has none so long; an interval is its seconds."""
    number = value.total_seconds() if isinstance(value, datetime.timedelta) else value
    if not isinstance(number, int | float | Decimal) or number != int(number):
        raise ValueError
    whole: int = _held(int(number), limits)
    return str(whole) if is_text else whole


def as_float(value: Any, *, limits: ValueRange | None) -> Any:
    """Return a floating-point number; the words for what JSON has no number for."""
    number = value.total_seconds() if isinstance(value, datetime.timedelta) else value
    if not isinstance(number, int | float | Decimal):
        raise ValueError
    converted = float(number)
    if math.isnan(converted):
        return "nan"
    if math.isinf(converted):
        if not isinstance(number, float) and not Decimal(number).is_infinite():
            raise ValueError
        return "inf" if converted > 0 else "-inf"
    return _held(converted, limits)


def as_decimal(value: Any, *, digits: tuple[int, int], is_exact: bool) -> str:
    """Return a decimal number, rounded half up to the digits of its column unless it must be exact."""
    number = value.total_seconds() if isinstance(value, datetime.timedelta) else value
    if not isinstance(number, int | float | Decimal):
        raise ValueError
    exact = number if isinstance(number, Decimal) else Decimal(str(int(number) if isinstance(number, bool) else number))
    before, after = digits
    try:
        rounded = exact.quantize(Decimal(1).scaleb(-after), ROUND_HALF_UP, _EXACT)
    except InvalidOperation as error:
        raise ValueError from error
    if abs(rounded) >= Decimal(10) ** before or (is_exact and rounded != exact) or rounded.is_nan():
        raise ValueError
    return format(rounded, "f")


def as_boolean(value: Any) -> bool:
    """Return a truth value."""
    if value not in (0, 1) or isinstance(value, str):
        raise ValueError
    return bool(value)


def as_day(value: Any, *, limits: ValueRange | None, is_exact: bool) -> datetime.date:
    """Return a date; of an instant that in UTC."""
    if isinstance(value, datetime.datetime):
        instant = _aware(value)
        if is_exact and instant.time() != datetime.time():
            raise ValueError
        value = instant.date()
    if not isinstance(value, datetime.date):
        raise ValueError
    day: datetime.date = _held(value, limits)
    return day


def as_instant(value: Any, *, limits: ValueRange | None, unit_us: int) -> datetime.datetime:
    """Return an instant in UTC; of a date its midnight."""
    if isinstance(value, datetime.datetime):
        instant = _aware(value)
    elif isinstance(value, datetime.date):
        instant = datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    else:
        raise ValueError
    if instant.microsecond % unit_us:
        raise ValueError
    held: datetime.datetime = _held(instant, limits)
    return held


def _aware(value: datetime.datetime) -> datetime.datetime:
    """Return an instant in UTC, which is what a time without an offset means."""
    return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)


def as_fixed_text(value: Any, *, size: int) -> Any:
    """Return text that is not longer than its column, in bytes."""
    text = as_key_text(value)
    if len(text.encode()) > size:
        raise ValueError
    return text


def as_key_text(value: Any) -> str:
    """Return the text of a value in the key: bytes that are no text would not come back as they went in."""
    return value.decode() if isinstance(value, bytes) else str(as_text(value))


def as_text(value: Any) -> Any:
    """Return the text of any value; bytes as they are."""
    import msgspec

    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return msgspec.Raw(_quoted_bytes(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return _aware(value).isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return _clock(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict | list | tuple):
        return msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode(value).decode()
    return str(value)


def _quoted_bytes(value: bytes) -> bytes:
    """Write bytes as a JSON string, which the server takes whether they are UTF-8 or not."""
    import json

    return json.dumps(value.decode("latin-1"), ensure_ascii=False).encode("latin-1")


def _clock(value: datetime.timedelta) -> str:
    """Write an interval as PostgreSQL does one without days: hours, minutes, seconds.

    Example:
        >>> _clock(datetime.timedelta(days=1, seconds=5)), _clock(-datetime.timedelta(milliseconds=1500))
        ('24:00:05', '-00:00:01.500000')
    """
    microseconds = abs(value) // datetime.timedelta(microseconds=1)
    seconds, fraction = divmod(microseconds, 10**_MICROSECOND_DIGITS)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    sign = "-" if value < datetime.timedelta() else ""
    return f"{sign}{text}.{fraction:06}" if fraction else sign + text


def as_json(value: Any) -> Any:
    """Leave arrays, maps, objects and numbers as JSON has them; the server judges them."""
    return value if isinstance(value, dict | list | tuple | bool | int) else as_text(value)
