-- What the view from the tower does to the timetable: each departure with the weather of its hour.
CREATE MATERIALIZED VIEW weather_delays IN CLUSTER flights AS
SELECT
    d.origin,
    CASE
        WHEN w.visibility_miles < 1 THEN '1. under 1 mile'
        WHEN w.visibility_miles < 3 THEN '2. 1 to 3 miles'
        WHEN w.visibility_miles < 10 THEN '3. 3 to 10 miles'
        ELSE '4. 10 miles and more'
    END AS visibility,
    count(*) AS departures,
    count(*) FILTER (WHERE d.departed_at IS NULL) AS cancelled,
    sum(d.delay_minutes) AS delay_minutes
FROM departures AS d
JOIN weather AS w ON w.origin = d.origin AND w.observed_at = date_trunc('hour', d.scheduled_at)
GROUP BY 1, 2;
