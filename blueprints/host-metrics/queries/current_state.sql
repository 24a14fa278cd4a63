-- engine: materialize
-- description: How this machine is now
SELECT host, device, measure, round(value::numeric, 1) AS value, observed_at
FROM current_state
ORDER BY host, measure, device
