"""A project resolved for one environment, and the live stack."""
