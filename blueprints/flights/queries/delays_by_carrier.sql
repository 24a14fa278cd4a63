-- engine: clickhouse
-- description: Which airline is late how often and by how much
SELECT
    d.carrier AS carrier,
    any(c.name) AS airline,
    count() AS departures,
    countIf(d.departed_at IS NULL) AS cancelled,
    round(avg(d.departure_delay_minutes), 1) AS average_delay,
    round(100 * countIf(d.departure_delay_minutes >= 15) / count(), 1) AS late_percent
FROM departures AS d FINAL
LEFT JOIN (SELECT carrier, name FROM carriers FINAL) AS c ON c.carrier = d.carrier
GROUP BY d.carrier
ORDER BY average_delay DESC
