-- The last ten minutes of each file system, each reading once.
CREATE MATERIALIZED VIEW filesystem IN CLUSTER metrics AS
SELECT DISTINCT ON (observed_at, host, mount)
    (body->>'observed_at')::timestamptz AS observed_at,
    body->>'host' AS host,
    body->>'mount' AS mount,
    (body->>'size_bytes')::bigint AS size_bytes,
    (body->>'available_bytes')::bigint AS available_bytes,
    (body->>'used_percent')::float8 AS used_percent,
    (body->>'_sequence')::bigint AS sequence
FROM filesystem_raw
WHERE mz_now() <= (body->>'observed_at')::timestamptz + INTERVAL '10 minutes'
ORDER BY observed_at, host, mount, sequence DESC;
