-- What each interface moved a second, from one reading to the next. Counters that went back (a machine that was started again) give no rate.
CREATE MATERIALIZED VIEW network_rates IN CLUSTER metrics AS
WITH changes AS (
    SELECT
        observed_at,
        host,
        interface,
        extract(epoch FROM observed_at - lag(observed_at) OVER (PARTITION BY host, interface ORDER BY observed_at))::float8 AS seconds,
        received_bytes_total - lag(received_bytes_total) OVER (PARTITION BY host, interface ORDER BY observed_at) AS received_bytes,
        sent_bytes_total - lag(sent_bytes_total) OVER (PARTITION BY host, interface ORDER BY observed_at) AS sent_bytes,
        received_packets_total - lag(received_packets_total) OVER (PARTITION BY host, interface ORDER BY observed_at) AS received_packets,
        sent_packets_total - lag(sent_packets_total) OVER (PARTITION BY host, interface ORDER BY observed_at) AS sent_packets,
        errors_total - lag(errors_total) OVER (PARTITION BY host, interface ORDER BY observed_at) AS errors,
        drops_total - lag(drops_total) OVER (PARTITION BY host, interface ORDER BY observed_at) AS drops
    FROM network
)
SELECT
    observed_at,
    host,
    interface,
    received_bytes / seconds AS received_bytes_per_s,
    sent_bytes / seconds AS sent_bytes_per_s,
    received_packets / seconds AS received_packets_per_s,
    sent_packets / seconds AS sent_packets_per_s,
    errors,
    drops
FROM changes
WHERE seconds > 0
    AND received_bytes >= 0 AND sent_bytes >= 0
    AND received_packets >= 0 AND sent_packets >= 0
    AND errors >= 0 AND drops >= 0;
