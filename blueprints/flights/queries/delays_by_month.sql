-- engine: questdb
-- description: Departures and delay of each month, from the hourly view that QuestDB keeps up to date
-- chart: line x=month y=average_delay
SELECT
    timestamp_floor('M', scheduled_at) AS month,
    sum(departures) AS departures,
    round(sum(delay_minutes) / sum(departed)::double, 1) AS average_delay
FROM hourly_delays
ORDER BY month
