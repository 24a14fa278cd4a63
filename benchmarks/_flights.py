"""A year of departures and weather, of the size and shape of the blueprint flights, and views above them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

DEPARTURES, WEATHER = 336_776, 26_115
START = datetime(2013, 1, 1, 10, tzinfo=UTC)
VIEWS = (
    "CREATE SOURCE departures_raw FROM WEBHOOK BODY FORMAT JSON",
    "CREATE SOURCE weather_raw FROM WEBHOOK BODY FORMAT JSON",
    "CREATE MATERIALIZED VIEW departures AS SELECT DISTINCT ON (scheduled_at, carrier, flight, origin) "
    "(body->>'scheduled_at')::timestamptz AS scheduled_at, body->>'carrier' AS carrier, "
    "(body->>'flight')::int AS flight, body->>'origin' AS origin, (body->>'departed_at')::timestamptz AS departed_at, "
    "(body->>'departure_delay_minutes')::int AS delay_minutes, (body->>'_sequence')::bigint AS sequence "
    "FROM departures_raw ORDER BY scheduled_at, carrier, flight, origin, sequence DESC",
    "CREATE MATERIALIZED VIEW weather AS SELECT DISTINCT ON (observed_at, origin) "
    "(body->>'observed_at')::timestamptz AS observed_at, body->>'origin' AS origin, "
    "(body->>'visibility_miles')::float8 AS visibility_miles, (body->>'_sequence')::bigint AS sequence "
    "FROM weather_raw ORDER BY observed_at, origin, sequence DESC",
    "CREATE MATERIALIZED VIEW delays_by_hour AS SELECT date_trunc('hour', scheduled_at) AS hour, carrier, origin, "
    "count(*) AS departures, count(*) FILTER (WHERE delay_minutes >= 15) AS late, sum(delay_minutes) AS delay_minutes, "
    "max(delay_minutes) AS longest_delay FROM departures GROUP BY 1, 2, 3",
    "CREATE MATERIALIZED VIEW latest_hour AS SELECT max(hour) AS hour FROM delays_by_hour",
    "CREATE MATERIALIZED VIEW recent_delays AS SELECT d.* FROM delays_by_hour d "
    "JOIN latest_hour l ON d.hour > l.hour - INTERVAL '72 hours'",
    "CREATE MATERIALIZED VIEW weather_delays AS SELECT d.origin, CASE WHEN w.visibility_miles < 3 THEN 'fog' "
    "WHEN w.visibility_miles < 10 THEN 'haze' ELSE 'clear' END AS visibility, count(*) AS departures, "
    "sum(d.delay_minutes) AS delay_minutes FROM departures d "
    "JOIN weather w ON w.origin = d.origin AND w.observed_at = date_trunc('hour', d.scheduled_at) GROUP BY 1, 2",
)
_CARRIERS, _ORIGINS = ("UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN"), ("EWR", "JFK", "LGA")


def departure(number: int, sequence: int) -> str:
    """One message; of two with the same number the one with the greater sequence corrects the other."""
    scheduled = START + timedelta(minutes=number * 525_000 // DEPARTURES)
    delay = None if number % 41 == 0 else (number * 7919 + sequence) % 140 - 15
    departed = None if delay is None else (scheduled + timedelta(minutes=delay)).isoformat()
    return json.dumps({
        "scheduled_at": scheduled.isoformat(), "carrier": _CARRIERS[number % 9], "flight": number % 6000,
        "origin": _ORIGINS[number % 3], "destination": "LAX", "tail_number": f"N{number % 4000:05}",
        "departed_at": departed, "departure_delay_minutes": delay, "arrival_delay_minutes": delay,
        "air_time_minutes": 120 + number % 200, "distance_miles": 1400, "_subject": "flights.departures",
        "_event_id": f"{sequence:032x}", "_sequence": sequence,
    })  # fmt: skip


def weather(number: int) -> str:
    """The weather of one hour at one airport."""
    observed = START.replace(minute=0) + timedelta(hours=number // 3)
    return json.dumps({
        "observed_at": observed.isoformat(), "origin": _ORIGINS[number % 3], "temperature_f": 40.0, "dew_point_f": 26.1,
        "humidity_percent": 59.4, "wind_direction_degrees": 270, "wind_speed_mph": 10.4, "wind_gust_mph": None,
        "precipitation_inches": 0, "pressure_millibars": 1012, "visibility_miles": (10, 10, 10, 6, 2)[number // 3 % 5],
        "_sequence": number + 1,
    })  # fmt: skip
