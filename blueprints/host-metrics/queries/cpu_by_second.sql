-- engine: questdb
-- description: How busy all cores together were, second by second
-- chart: line x=second y=busy_percent
SELECT timestamp_floor('s', observed_at) AS second, avg(busy_percent) AS busy_percent
FROM cpu
WHERE core = 'cpu-total' AND observed_at > dateadd('m', -10, now())
ORDER BY second
