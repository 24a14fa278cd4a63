-- engine: questdb
-- description: Each departure with the weather before it, joined by time; the delay when the wind blew hard
SELECT
    d.origin,
    count() AS departures,
    cast(round(avg(d.departure_delay_minutes), 1) AS DECIMAL(10, 1)) AS average_delay,
    cast(round(avg(w.wind_speed_mph), 1) AS DECIMAL(10, 1)) AS average_wind_mph
FROM departures d
ASOF JOIN weather w ON (origin)
WHERE w.wind_speed_mph >= 25 AND w.wind_speed_mph < 200
ORDER BY average_delay DESC
