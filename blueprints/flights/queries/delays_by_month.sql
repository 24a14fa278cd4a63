-- engine: questdb
-- description: Departures and delay of each month, from the hourly view that QuestDB keeps up to date
-- chart: line x=month y=average_delay
SELECT
    timestamp_floor('M', to_timezone(scheduled_at, 'America/New_York')) AS month,
    sum(departures) AS departures,
    cast(round(sum(delay_minutes) / sum(departed)::double, 1) AS DECIMAL(10, 1)) AS average_delay
FROM hourly_delays
ORDER BY month
