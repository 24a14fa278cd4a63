"""Values of a view on their way into a column of a store: what every store converts alike.

A whole column is converted at once, because most need nothing done: their types and their range are looked at only. A
conversion raises ValueError or ArithmeticError for a value that does not fit.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

_EXACT = Context(prec=80)

Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class ValueRange:
    """The values from `low` to `high` that a column holds; the server would wrap or cut others without a word."""

    low: float | datetime.date
    high: float | datetime.date


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
        convert: Converts one value.
    """

    type_name: str
    is_nullable: bool
    plain: frozenset[type]
    range: ValueRange | None
    convert: Convert

    def encode(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return values as the store takes them.

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
        if not values or self.range is None:
            return True
        return bool(self.range.low <= min(values) and max(values) <= self.range.high)


def shown(value: object) -> str:
    """Return a value for a message."""
    return "null" if value is None else str(value)


def held(value: Any, limits: ValueRange | None) -> Any:
    """Return a value that a column can hold."""
    if limits is not None and not limits.low <= value <= limits.high:
        raise ValueError
    return value


def as_number(value: Any) -> int | float | Decimal:
    """Return a number of any kind; an interval is its seconds."""
    number = value.total_seconds() if isinstance(value, datetime.timedelta) else value
    if not isinstance(number, int | float | Decimal):
        raise ValueError
    return int(number) if isinstance(number, bool) else number


def as_integer(value: Any, *, limits: ValueRange | None) -> int:
    """Return a whole number."""
    number = as_number(value)
    if number != int(number):
        raise ValueError
    whole: int = held(int(number), limits)
    return whole


def as_float(value: Any, *, limits: ValueRange | None) -> float:
    """Return a floating-point number, which may be none or infinite where the value is."""
    number = as_number(value)
    converted = float(number)
    if math.isfinite(converted):
        return float(held(converted, limits))
    if isinstance(number, Decimal) and number.is_finite():
        raise ValueError
    return converted


def as_decimal(value: Any, *, digits: tuple[int, int], is_exact: bool) -> Decimal:
    """Return a decimal number with the digits of its column.

    Args:
        value: Any number.
        digits: Most of them in front of the point, and all of them behind it.
        is_exact: Whether it must not be rounded; else half up.
    """
    number = as_number(value)
    exact = number if isinstance(number, Decimal) else Decimal(str(number))
    before, after = digits
    try:
        rounded = exact.quantize(Decimal(1).scaleb(-after), ROUND_HALF_UP, _EXACT)
    except InvalidOperation as error:
        raise ValueError from error
    if rounded.is_nan() or abs(rounded) >= Decimal(10) ** before or (is_exact and rounded != exact):
        raise ValueError
    return rounded


def as_boolean(value: Any) -> bool:
    """Return a truth value."""
    if value not in (0, 1) or isinstance(value, str):
        raise ValueError
    return bool(value)


def as_day(value: Any, *, limits: ValueRange | None, is_exact: bool) -> datetime.date:
    """Return a date; of an instant that in UTC."""
    if isinstance(value, datetime.datetime):
        instant = in_utc(value)
        if is_exact and instant.time() != datetime.time():
            raise ValueError
        value = instant.date()
    if not isinstance(value, datetime.date):
        raise ValueError
    day: datetime.date = held(value, limits)
    return day


def as_instant(value: Any, *, limits: ValueRange | None, unit_us: int) -> datetime.datetime:
    """Return an instant in UTC, of a date its midnight, which must be a whole number of units."""
    if isinstance(value, datetime.datetime):
        instant = in_utc(value)
    elif isinstance(value, datetime.date):
        instant = datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    else:
        raise ValueError
    if instant.microsecond % unit_us:
        raise ValueError
    within: datetime.datetime = held(instant, limits)
    return within


def in_utc(value: datetime.datetime) -> datetime.datetime:
    """Return an instant in UTC, which is what a time without an offset means."""
    return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)


def as_text(value: Any) -> str:
    """Return the text of any value: JSON of arrays and objects; bytes must be UTF-8."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return in_utc(value).isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return _interval_text(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict | list | tuple):
        return json_text(value).decode()
    return str(value)


def json_text(value: Any) -> bytes:
    """Return JSON of any value: numbers as numbers, all that JSON has not as text."""
    import msgspec

    return msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode(value)


def _interval_text(value: datetime.timedelta) -> str:
    """Write an interval as PostgreSQL does one without days: hours, minutes, seconds.

    Example:
        >>> _interval_text(datetime.timedelta(days=1, seconds=5)), _interval_text(-datetime.timedelta(seconds=1.5))
        ('24:00:05', '-00:00:01.500000')
    """
    microseconds = abs(value) // datetime.timedelta(microseconds=1)
    seconds, fraction = divmod(microseconds, 10**6)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    sign = "-" if value < datetime.timedelta() else ""
    return f"{sign}{text}.{fraction:06}" if fraction else sign + text
