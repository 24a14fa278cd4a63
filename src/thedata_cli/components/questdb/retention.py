"""How long rows stay: TTL as people write it, as the server shows it, and as SQL."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

PartitionBy = Literal["none", "hour", "day", "week", "month", "year"]

_UNITS = {"h": 1, "d": 24, "w": 168}
_LONG_UNITS = {"HOUR": "h", "DAY": "d", "WEEK": "w", "MONTH": "M", "YEAR": "y"}
_FOR_EVER_YEARS = 1000
_SQL_UNITS = {"h": "HOURS", "d": "DAYS", "M": "MONTHS"}
_PARTITION_HOURS = {"hour": 1, "day": 24, "week": 168}


def plain_ttl(text: str) -> str:
    """Return the one spelling of a TTL: hours, whole days, or months.

    Raises:
        ValueError: It is no TTL.

    Example:
        >>> plain_ttl("2w"), plain_ttl("36h"), plain_ttl("1y"), plain_ttl("0h")
        ('14d', '36h', '12M', '')
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*([hdwMy])\s*", text)
    if not match:
        raise ValueError(f"{text!r} is no TTL; write it as `12h`, `30d`, `2w`, `6M` or `1y`")
    count, unit = int(match[1]), match[2]
    if count == 0:
        return ""
    if unit in "My":
        months = count * (12 if unit == "y" else 1)
        return f"{months}M" if months < 12 * _FOR_EVER_YEARS else ""
    hours = count * _UNITS[unit]
    return f"{hours // 24}d" if hours % 24 == 0 else f"{hours}h"


Ttl = Annotated[str, AfterValidator(plain_ttl), Field(examples=["30d", "6M"])]


def observed_ttl(value: int, unit: str) -> str:
    """Return the plain spelling of what `tables()` shows."""
    return plain_ttl(f"{value}{_LONG_UNITS[unit]}") if value else ""


def ttl_sql(ttl: str, partition_by: str) -> str:
    """Return a plain TTL as SQL, such as `30 DAYS`.

    The server (9.3.4) does not let go of a TTL on partitions by month and year, so that there none is a very long one.
    """
    if ttl:
        return f"{ttl[:-1]} {_SQL_UNITS[ttl[-1]]}"
    return f"{_FOR_EVER_YEARS} YEARS" if partition_by in ("month", "year") else "0 HOURS"


def is_shorter(after: str, before: str) -> bool:
    """Say whether rows go sooner than before."""
    return bool(after) and (not before or _least_hours(after) < _least_hours(before))


def misfit(ttl: str, partition_by: PartitionBy) -> str:
    """Return why a TTL does not fit a partition size; empty when it does: whole partitions are dropped."""
    if not ttl:
        return ""
    if partition_by == "none":
        return "a table without partitions cannot have a TTL"
    months = int(ttl[:-1]) if ttl[-1] == "M" else 0
    if partition_by in ("month", "year"):
        fits = months > 0 and months % (12 if partition_by == "year" else 1) == 0
    else:
        fits = months > 0 or _least_hours(ttl) % _PARTITION_HOURS[partition_by] == 0
    return "" if fits else f"a TTL of {ttl} is not a whole number of partitions by {partition_by}"


def _least_hours(ttl: str) -> int:
    count = int(ttl[:-1])
    return count * {"h": 1, "d": 24, "M": 28 * 24}[ttl[-1]]
