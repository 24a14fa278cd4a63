-- What each disk did a second, from one reading to the next. Counters that went back (a machine that was started again) give no rate.
CREATE MATERIALIZED VIEW disk_rates IN CLUSTER metrics AS
WITH changes AS (
    SELECT
        observed_at,
        host,
        disk,
        extract(epoch FROM observed_at - lag(observed_at) OVER (PARTITION BY host, disk ORDER BY observed_at))::float8 AS seconds,
        read_bytes_total - lag(read_bytes_total) OVER (PARTITION BY host, disk ORDER BY observed_at) AS read_bytes,
        written_bytes_total - lag(written_bytes_total) OVER (PARTITION BY host, disk ORDER BY observed_at) AS written_bytes,
        reads_total - lag(reads_total) OVER (PARTITION BY host, disk ORDER BY observed_at) AS reads,
        writes_total - lag(writes_total) OVER (PARTITION BY host, disk ORDER BY observed_at) AS writes
    FROM disk
)
SELECT
    observed_at,
    host,
    disk,
    read_bytes / seconds AS read_bytes_per_s,
    written_bytes / seconds AS written_bytes_per_s,
    reads / seconds AS reads_per_s,
    writes / seconds AS writes_per_s
FROM changes
WHERE seconds > 0 AND read_bytes >= 0 AND written_bytes >= 0 AND reads >= 0 AND writes >= 0;
