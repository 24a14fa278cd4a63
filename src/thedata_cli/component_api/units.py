"""Quantities as people write them: `7d`, `500ms`, `10GB`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip


def parse_duration(value: object) -> float:
    """Return seconds for text such as `500ms`, `2s`, `5m`, `30d`, also combined (`1h30m`); numbers are seconds.

    Raises:
        ValueError: The text is no duration.

    Example:
        >>> parse_duration("1h30m"), parse_duration(2)
        (5400.0, 2.0)
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    text = str(value).replace(" ", "")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{value!r} is not a duration; write it as `500ms`, `10s`, `5m`, `2h`, `30d` or `1h30m`")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def parse_bytes(value: object) -> int:
    """Return bytes for text such as `10GB` or `512MiB`; numbers are bytes.

    Raises:
        ValueError: The text is no size.

    Example:
        >>> parse_bytes("2KiB"), parse_bytes("1.5 MB")
        (2048, 1500000)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?i?B|)", str(value))
    if not match or match[2] not in _BYTES:
        raise ValueError(f"{value!r} is not a size; write it as `512MiB`, `10GB` or a number of bytes")
    return int(float(match[1]) * _BYTES[match[2]])


Duration = Annotated[
    float,
    BeforeValidator(parse_duration, json_schema_input_type=str | float),
    Field(ge=0, examples=["500ms", "10s", "5m", "2h", "30d"]),
]
"""Seconds."""

ByteCount = Annotated[
    int,
    BeforeValidator(parse_bytes, json_schema_input_type=str | int),
    Field(ge=0, examples=["512MiB", "10GB"]),
]
"""Bytes."""
