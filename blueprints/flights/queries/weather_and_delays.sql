-- engine: clickhouse
-- description: What the view from the tower does to the timetable
-- chart: bar x=visibility y=average_delay
SELECT
    multiIf(
        w.visibility_miles < 1, '1. under 1 mile',
        w.visibility_miles < 3, '2. 1 to 3 miles',
        w.visibility_miles < 10, '3. 3 to 10 miles',
        '4. 10 miles and more'
    ) AS visibility,
    count() AS departures,
    round(100 * countIf(d.departed_at IS NULL) / count(), 1) AS cancelled_percent,
    round(avg(d.departure_delay_minutes), 1) AS average_delay
FROM departures AS d FINAL
INNER JOIN (SELECT origin, observed_at, visibility_miles FROM weather FINAL) AS w
    ON w.origin = d.origin AND w.observed_at = toStartOfHour(d.scheduled_at)
GROUP BY visibility
ORDER BY visibility
