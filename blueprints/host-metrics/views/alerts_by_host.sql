-- Serves questions for one host.
CREATE INDEX alerts_by_host IN CLUSTER metrics ON alerts (host);
