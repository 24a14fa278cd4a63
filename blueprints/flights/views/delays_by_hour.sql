-- Delays by carrier, airport and scheduled hour.
CREATE MATERIALIZED VIEW delays_by_hour IN CLUSTER flights AS
SELECT
    date_trunc('hour', scheduled_at) AS hour,
    carrier,
    origin,
    count(*) AS departures,
    count(*) FILTER (WHERE departed_at IS NULL) AS cancelled,
    count(*) FILTER (WHERE delay_minutes >= 15) AS late,
    sum(delay_minutes) AS delay_minutes,
    max(delay_minutes) AS longest_delay
FROM departures
GROUP BY date_trunc('hour', scheduled_at), carrier, origin;
