-- engine: clickhouse
-- description: Which network interface moves most, over the last ten minutes
-- chart: bar x=interface y=kib_per_s
SELECT
    concat(host, ' ', interface) AS interface,
    round(avg(received_bytes_per_s + sent_bytes_per_s) / 1024, 1) AS kib_per_s,
    round(max(received_bytes_per_s + sent_bytes_per_s) / 1024, 1) AS highest_kib_per_s,
    sum(errors) AS errors,
    sum(drops) AS drops
FROM network_rates FINAL
GROUP BY host, network_rates.interface
ORDER BY kib_per_s DESC
LIMIT 10
