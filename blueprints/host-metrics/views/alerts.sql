-- What is wrong now: one row for each host and device and rule that it breaks, gone as soon as it does not.
CREATE MATERIALIZED VIEW alerts IN CLUSTER metrics AS
SELECT r.alert, s.host, s.device, s.value, r.threshold, r.severity, s.observed_at
FROM current_state AS s
JOIN alert_rules AS r ON r.measure = s.measure
WHERE (r.direction = 'above' AND s.value > r.threshold) OR (r.direction = 'below' AND s.value < r.threshold);
