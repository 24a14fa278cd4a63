"""Materialize, the streaming SQL engine."""
