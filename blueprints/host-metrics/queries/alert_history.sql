-- engine: questdb
-- description: What was wrong when, over the last day; readings that broke a rule, marked rows of the past included
SELECT alert, host, device, min(observed_at) AS first, max(observed_at) AS last, count() AS readings, max(value) AS highest, min(value) AS lowest
FROM alerts
WHERE observed_at > dateadd('d', -1, now())
ORDER BY last DESC
