-- Serves questions for one carrier.
CREATE INDEX recent_delays_by_carrier IN CLUSTER flights ON recent_delays (carrier);
