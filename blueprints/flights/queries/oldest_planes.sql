-- engine: clickhouse
-- description: Do old planes leave later? By the decade in which the plane was built
-- chart: bar x=built y=average_delay
SELECT
    concat(toString(intDiv(p.built_in, 10) * 10), 's') AS built,
    uniqExact(p.tail_number) AS planes,
    count() AS departures,
    round(avg(d.departure_delay_minutes), 1) AS average_delay
FROM departures AS d FINAL
INNER JOIN (SELECT tail_number, built_in FROM planes FINAL) AS p ON p.tail_number = d.tail_number
WHERE p.built_in IS NOT NULL
GROUP BY built
ORDER BY built
