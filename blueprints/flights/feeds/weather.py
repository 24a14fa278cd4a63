"""Print the hourly weather of each airport as one JSON message a line, in the order of time."""

from __future__ import annotations

from collections.abc import Iterator

from nycflights import MISSING, rows, write

_FIELDS = (
    "temperature_f",
    "dew_point_f",
    "humidity_percent",
    "wind_direction_degrees",
    "wind_speed_mph",
    "wind_gust_mph",
    "precipitation_inches",
    "pressure_millibars",
    "visibility_miles",
)


def messages() -> Iterator[str]:
    """Yield the lines."""
    for origin, _, _, _, _, *readings, observed_at in sorted(rows("weather.csv"), key=lambda row: (row[-1], row[0])):
        values = ",".join(
            f'"{name}":{"null" if text == MISSING else text}' for name, text in zip(_FIELDS, readings, strict=True)
        )
        yield f'{{"observed_at":"{observed_at}","origin":"{origin}",{values}}}\n'


if __name__ == "__main__":
    write(messages())
