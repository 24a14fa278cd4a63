"""Print every departure as one JSON message a line, in the order in which the planes left.

A cancelled flight has no departure; it comes at the time it was scheduled for. The data set gives local clock times
and, for the scheduled hour, also UTC. Everything here counts from that UTC hour, so that the two changes of the clocks
and departures after midnight come out right.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

from nycflights import MISSING, rows, write

_MINUTES_A_DAY = 1440
_CLOCK = [f"T{minute // 60:02}:{minute % 60:02}:00Z" for minute in range(_MINUTES_A_DAY)]


@cache
def _epoch_minute(hour: str) -> int:
    """Return the minutes from 1970 to a full hour such as `2013-01-01T10:00:00Z`."""
    return int(datetime.fromisoformat(hour).timestamp()) // 60


@cache
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()


def _time(minute: int) -> str:
    day, clock = divmod(minute, _MINUTES_A_DAY)
    return _date(day) + _CLOCK[clock]


def _number(text: str) -> str:
    return "null" if text == MISSING else text


def messages() -> Iterator[str]:
    """Yield the lines."""
    by_minute: dict[int, list[str]] = {}
    for (
        _, _, _, _, _, delay, _, _, arrival_delay, carrier, flight, tail_number,
        origin, destination, air_time, distance, _, minute, scheduled_hour,
    ) in rows("flights.csv.zip"):  # fmt: skip
        left = scheduled = _epoch_minute(scheduled_hour) + int(minute)
        departed_at = "null"
        if delay != MISSING:
            left += int(delay)
            departed_at = f'"{_time(left)}"'
        plane = "null" if tail_number == MISSING else f'"{tail_number}"'
        by_minute.setdefault(left, []).append(
            f'{{"scheduled_at":"{_time(scheduled)}","carrier":"{carrier}","flight":{flight},"origin":"{origin}",'
            f'"destination":"{destination}","tail_number":{plane},"departed_at":{departed_at},'
            f'"departure_delay_minutes":{_number(delay)},"arrival_delay_minutes":{_number(arrival_delay)},'
            f'"air_time_minutes":{_number(air_time)},"distance_miles":{distance}}}\n'
        )
    for left in sorted(by_minute):
        yield from by_minute[left]


if __name__ == "__main__":
    write(messages())
