-- engine: clickhouse
-- description: Average delay by the hour of the day in New York; delays pile up until the evening
-- chart: bar x=hour y=average_delay
SELECT
    toHour(scheduled_at, 'America/New_York') AS hour,
    round(avg(departure_delay_minutes), 1) AS average_delay,
    count() AS departures
FROM departures FINAL
WHERE departed_at IS NOT NULL
GROUP BY hour
ORDER BY hour
