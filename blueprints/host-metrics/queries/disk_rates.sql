-- engine: clickhouse
-- description: What each disk reads and writes, over the last ten minutes
SELECT
    host,
    disk,
    round(avg(read_bytes_per_s) / 1024, 1) AS read_kib_per_s,
    round(avg(written_bytes_per_s) / 1024, 1) AS written_kib_per_s,
    round(avg(reads_per_s + writes_per_s), 1) AS operations_per_s
FROM disk_rates FINAL
GROUP BY host, disk
ORDER BY written_kib_per_s DESC
