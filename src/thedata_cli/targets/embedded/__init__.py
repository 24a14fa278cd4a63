"""Processes on this machine under a supervisor, no container engine."""
