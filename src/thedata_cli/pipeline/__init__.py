"""The data plane: moves messages from streams to tables.

It knows the protocols of `component_api/live.py`, never an engine.
"""
