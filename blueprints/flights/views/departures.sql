-- Every departure once, its latest message: a message may come twice, and a correction replaces what it corrects.
CREATE MATERIALIZED VIEW departures IN CLUSTER flights AS
SELECT DISTINCT ON (scheduled_at, carrier, flight, origin)
    (body->>'scheduled_at')::timestamptz AS scheduled_at,
    body->>'carrier' AS carrier,
    (body->>'flight')::int AS flight,
    body->>'origin' AS origin,
    body->>'destination' AS destination,
    (body->>'departed_at')::timestamptz AS departed_at,
    (body->>'departure_delay_minutes')::int AS delay_minutes,
    (body->>'_sequence')::bigint AS sequence
FROM departures_raw
ORDER BY scheduled_at, carrier, flight, origin, sequence DESC;
