-- engine: materialize
-- description: The last 72 hours of flights: which airline is late now
SELECT
    carrier,
    sum(departures)::int AS departures,
    sum(cancelled)::int AS cancelled,
    round(100.0 * sum(late) / sum(departures), 1) AS late_percent,
    max(longest_delay) AS longest_delay
FROM recent_delays
GROUP BY carrier
ORDER BY late_percent DESC
