"""Figures, each as a ratio against a named peer or floor that is measured in the same run.

`make bench` runs every module of this package and writes `results.json` and `results.md`. A module prints one JSON
list of figures: `{"name", "unit", "value", "peer", "peer_value", "ratio"}`, each value a median of several runs.
"""
