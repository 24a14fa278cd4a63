"""The data plane: moves messages from streams to tables."""
