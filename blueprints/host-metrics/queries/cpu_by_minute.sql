-- engine: clickhouse
-- description: How busy each host was, minute by minute of the last hour
-- chart: line x=minute y=mean_percent
SELECT
    toStartOfMinute(observed_at) AS minute,
    host,
    round(avg(busy_percent), 1) AS mean_percent,
    round(max(busy_percent), 1) AS highest_percent,
    round(max(load_1m), 2) AS highest_load_1m
FROM cpu FINAL
WHERE core = 'cpu-total' AND observed_at > now() - INTERVAL 1 HOUR
GROUP BY minute, host
ORDER BY minute, host
