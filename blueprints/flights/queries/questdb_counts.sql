-- engine: questdb
-- description: Rows of every table in QuestDB
SELECT 'departures' AS "table", count() AS "rows" FROM departures
UNION ALL
SELECT 'weather' AS "table", count() AS "rows" FROM weather
