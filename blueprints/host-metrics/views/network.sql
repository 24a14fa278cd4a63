-- The last ten minutes of each interface's counters, each reading once.
CREATE MATERIALIZED VIEW network IN CLUSTER metrics AS
SELECT DISTINCT ON (observed_at, host, interface)
    (body->>'observed_at')::timestamptz AS observed_at,
    body->>'host' AS host,
    body->>'interface' AS interface,
    (body->>'received_bytes_total')::bigint AS received_bytes_total,
    (body->>'sent_bytes_total')::bigint AS sent_bytes_total,
    (body->>'received_packets_total')::bigint AS received_packets_total,
    (body->>'sent_packets_total')::bigint AS sent_packets_total,
    (body->>'receive_errors_total')::bigint + (body->>'send_errors_total')::bigint AS errors_total,
    (body->>'receive_drops_total')::bigint + (body->>'send_drops_total')::bigint AS drops_total,
    (body->>'_sequence')::bigint AS sequence
FROM network_raw
WHERE mz_now() <= (body->>'observed_at')::timestamptz + INTERVAL '10 minutes'
ORDER BY observed_at, host, interface, sequence DESC;
