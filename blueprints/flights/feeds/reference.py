"""Print one reference table as one JSON message a line: `python feeds/reference.py airports|carriers|planes`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from nycflights import MISSING, rows, write


def _airport(row: list[str]) -> dict[str, Any]:
    code, name, latitude, longitude, altitude, _, _, time_zone = row
    return {
        "airport": code,
        "name": name,
        "latitude": float(latitude),
        "longitude": float(longitude),
        "altitude_feet": int(altitude),
        "time_zone": None if time_zone in ("", MISSING) else time_zone,
    }


def _carrier(row: list[str]) -> dict[str, Any]:
    code, name = row
    return {"carrier": code, "name": name}


def _plane(row: list[str]) -> dict[str, Any]:
    tail_number, year, kind, manufacturer, model, engines, seats, speed, engine = row
    return {
        "tail_number": tail_number,
        "built_in": None if year == MISSING else int(year),
        "type": kind,
        "manufacturer": manufacturer,
        "model": model,
        "engines": int(engines),
        "seats": int(seats),
        "cruise_speed_mph": None if speed == MISSING else int(speed),
        "engine": engine,
    }


_TABLES: dict[str, tuple[str, Callable[[list[str]], dict[str, Any]]]] = {
    "airports": ("airports.csv", _airport),
    "carriers": ("airlines.csv", _carrier),
    "planes": ("planes.csv", _plane),
}


def messages(table: str) -> Iterator[str]:
    """Yield the lines."""
    file, convert = _TABLES[table]
    for row in rows(file):
        yield json.dumps(convert(row), separators=(",", ":")) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in _TABLES:
        sys.exit(f"usage: python feeds/reference.py {'|'.join(_TABLES)}")
    write(messages(sys.argv[1]))
