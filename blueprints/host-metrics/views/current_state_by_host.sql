-- Serves questions for one host.
CREATE INDEX current_state_by_host IN CLUSTER metrics ON current_state (host);
