-- How each host and each of its devices is now, by measure; a host that is silent for a minute has no row.
CREATE MATERIALIZED VIEW current_state IN CLUSTER metrics AS
SELECT host, 'cpu-total' AS device, 'cpu_busy_percent_1m' AS measure, avg(busy_percent) AS value, max(observed_at) AS observed_at
FROM cpu
WHERE core = 'cpu-total' AND mz_now() <= observed_at + INTERVAL '1 minute'
GROUP BY host
-- A mean of a few seconds is no mean of a minute.
HAVING max(observed_at) - min(observed_at) >= INTERVAL '30 seconds'
UNION ALL
(
    SELECT DISTINCT ON (host, core) host, core AS device, 'cpu_busy_percent' AS measure, busy_percent AS value, observed_at
    FROM cpu
    WHERE mz_now() <= observed_at + INTERVAL '1 minute'
    ORDER BY host, core, observed_at DESC
)
UNION ALL
(
    SELECT DISTINCT ON (host)
        host,
        'memory' AS device,
        'memory_available_percent' AS measure,
        100 * memory_available_bytes::float8 / memory_total_bytes AS value,
        observed_at
    FROM memory
    WHERE mz_now() <= observed_at + INTERVAL '1 minute'
    ORDER BY host, observed_at DESC
)
UNION ALL
(
    SELECT DISTINCT ON (host, mount)
        host, mount AS device, 'filesystem_used_percent' AS measure, used_percent AS value, observed_at
    FROM filesystem
    WHERE mz_now() <= observed_at + INTERVAL '1 minute'
    ORDER BY host, mount, observed_at DESC
)
UNION ALL
(
    SELECT DISTINCT ON (host, disk)
        host, disk AS device, 'disk_bytes_per_s' AS measure, read_bytes_per_s + written_bytes_per_s AS value, observed_at
    FROM disk_rates
    WHERE mz_now() <= observed_at + INTERVAL '1 minute'
    ORDER BY host, disk, observed_at DESC
)
UNION ALL
(
    SELECT DISTINCT ON (host, interface)
        host, interface AS device, 'network_bytes_per_s' AS measure, received_bytes_per_s + sent_bytes_per_s AS value, observed_at
    FROM network_rates
    WHERE mz_now() <= observed_at + INTERVAL '1 minute'
    ORDER BY host, interface, observed_at DESC
)
UNION ALL
SELECT host, interface AS device, 'network_errors_5m' AS measure, sum(errors)::float8 AS value, max(observed_at) AS observed_at
FROM network_rates
WHERE mz_now() <= observed_at + INTERVAL '5 minutes'
GROUP BY host, interface;
