-- The last 72 hours of event time by carrier, airport and hour.
CREATE MATERIALIZED VIEW recent_delays IN CLUSTER flights AS
SELECT d.hour, d.carrier, d.origin, d.departures, d.cancelled, d.late, d.delay_minutes, d.longest_delay
FROM delays_by_hour AS d
JOIN latest_hour AS l ON d.hour > l.hour - INTERVAL '72 hours';
