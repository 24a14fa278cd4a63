-- engine: questdb
-- description: The latest weather before each departure, joined by time; delay by airport when the wind blew hard
SELECT
    d.origin,
    count() AS departures,
    round(avg(d.departure_delay_minutes), 1) AS average_delay,
    round(avg(w.wind_speed_mph), 1) AS average_wind_mph
FROM departures d
ASOF JOIN weather w ON (origin)
WHERE w.wind_speed_mph >= 25 AND w.wind_speed_mph < 200
ORDER BY average_delay DESC
