-- engine: clickhouse
-- description: The ten routes that arrive latest, of those flown at least once a week
SELECT
    d.origin AS origin,
    d.destination AS destination,
    any(a.name) AS airport,
    count() AS departures,
    round(avg(d.arrival_delay_minutes), 1) AS average_arrival_delay
FROM departures AS d FINAL
LEFT JOIN (SELECT airport, name FROM airports FINAL) AS a ON a.airport = d.destination
GROUP BY d.origin, d.destination
HAVING departures >= 52
ORDER BY average_arrival_delay DESC
LIMIT 10
