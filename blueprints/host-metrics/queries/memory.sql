-- engine: questdb
-- description: Memory and swap of each host, latest reading
SELECT
    host,
    observed_at,
    memory_total_bytes / 1048576 AS memory_mib,
    memory_available_bytes / 1048576 AS available_mib,
    round(100.0 * memory_available_bytes / memory_total_bytes, 1) AS available_percent,
    swap_used_bytes / 1048576 AS swap_used_mib
FROM memory
LATEST ON observed_at PARTITION BY host
