-- The weather at each airport at the full hour, the latest message of each.
CREATE MATERIALIZED VIEW weather IN CLUSTER flights AS
SELECT DISTINCT ON (observed_at, origin)
    (body->>'observed_at')::timestamptz AS observed_at,
    body->>'origin' AS origin,
    (body->>'visibility_miles')::float8 AS visibility_miles,
    (body->>'wind_speed_mph')::float8 AS wind_speed_mph,
    (body->>'_sequence')::bigint AS sequence
FROM weather_raw
ORDER BY observed_at, origin, sequence DESC;
