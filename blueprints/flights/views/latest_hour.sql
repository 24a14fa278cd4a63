-- The hour of the newest departure: event time, which in this data stands still at the end of 2013.
CREATE MATERIALIZED VIEW latest_hour IN CLUSTER flights AS
SELECT max(hour) AS hour FROM delays_by_hour;
