-- The last ten minutes of each disk's counters, each reading once.
CREATE MATERIALIZED VIEW disk IN CLUSTER metrics AS
SELECT DISTINCT ON (observed_at, host, disk)
    (body->>'observed_at')::timestamptz AS observed_at,
    body->>'host' AS host,
    body->>'disk' AS disk,
    (body->>'read_bytes_total')::bigint AS read_bytes_total,
    (body->>'written_bytes_total')::bigint AS written_bytes_total,
    (body->>'reads_total')::bigint AS reads_total,
    (body->>'writes_total')::bigint AS writes_total,
    (body->>'_sequence')::bigint AS sequence
FROM disk_raw
WHERE mz_now() <= (body->>'observed_at')::timestamptz + INTERVAL '10 minutes'
ORDER BY observed_at, host, disk, sequence DESC;
