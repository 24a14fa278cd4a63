-- The last ten minutes of memory and swap, each reading once.
CREATE MATERIALIZED VIEW memory IN CLUSTER metrics AS
SELECT DISTINCT ON (observed_at, host)
    (body->>'observed_at')::timestamptz AS observed_at,
    body->>'host' AS host,
    (body->>'memory_total_bytes')::bigint AS memory_total_bytes,
    (body->>'memory_available_bytes')::bigint AS memory_available_bytes,
    (body->>'swap_total_bytes')::bigint AS swap_total_bytes,
    (body->>'swap_used_bytes')::bigint AS swap_used_bytes,
    (body->>'_sequence')::bigint AS sequence
FROM memory_raw
WHERE mz_now() <= (body->>'observed_at')::timestamptz + INTERVAL '10 minutes'
ORDER BY observed_at, host, sequence DESC;
