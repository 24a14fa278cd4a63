-- The last ten minutes of each core, each reading once.
CREATE MATERIALIZED VIEW cpu IN CLUSTER metrics AS
SELECT DISTINCT ON (observed_at, host, core)
    (body->>'observed_at')::timestamptz AS observed_at,
    body->>'host' AS host,
    body->>'core' AS core,
    (body->>'busy_percent')::float8 AS busy_percent,
    (body->>'load_1m')::float8 AS load_1m,
    (body->>'_sequence')::bigint AS sequence
FROM cpu_raw
WHERE mz_now() <= (body->>'observed_at')::timestamptz + INTERVAL '10 minutes'
ORDER BY observed_at, host, core, sequence DESC;
