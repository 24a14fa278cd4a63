-- engine: materialize
-- description: What is wrong now
SELECT severity, alert, host, device, round(value::numeric, 1) AS value, threshold, observed_at
FROM alerts
ORDER BY severity, alert, host, device
