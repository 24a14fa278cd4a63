-- engine: clickhouse
-- description: Rows of every table in ClickHouse
SELECT * FROM (
    SELECT 'departures' AS table, count() AS rows FROM departures FINAL
    UNION ALL
    SELECT 'weather' AS table, count() AS rows FROM weather FINAL
    UNION ALL
    SELECT 'airports' AS table, count() AS rows FROM airports FINAL
    UNION ALL
    SELECT 'carriers' AS table, count() AS rows FROM carriers FINAL
    UNION ALL
    SELECT 'planes' AS table, count() AS rows FROM planes FINAL
)
ORDER BY rows DESC
