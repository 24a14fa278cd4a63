"""The worker's metrics in the Prometheus text format. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from thedata_cli.pipeline.progress import RouteProgress, RouteState

_METRICS: Sequence[tuple[str, str, str, Callable[[RouteProgress], float]]] = (
    ("rows_total", "counter", "Rows or changes that the target confirmed.", lambda route: route.rows),
    ("batches_total", "counter", "Batches that were written.", lambda route: route.batches),
    ("dead_letters_total", "counter", "Messages sent to the dead-letter stream.", lambda route: route.dead_letters),
    ("retries_total", "counter", "Attempts that failed and were repeated.", lambda route: route.retries),
    ("lag_seconds", "gauge", "Age of the newest row written, 0 when caught up.", lambda route: route.lag_s),
    ("running", "gauge", "1 when rows can flow.", lambda route: route.state is RouteState.RUNNING),
)


def prometheus_text(routes: Sequence[RouteProgress]) -> str:
    """Return the exposition of all routes, one sample a metric and route."""
    lines = []
    for name, kind, help_text, value_of in _METRICS:
        lines.append(f"# HELP thedata_worker_{name} {help_text}")
        lines.append(f"# TYPE thedata_worker_{name} {kind}")
        lines.extend(f"thedata_worker_{name}{{{_labels(route)}}} {float(value_of(route))}" for route in routes)
    return "\n".join(lines) + "\n"


def _labels(progress: RouteProgress) -> str:
    route = progress.route
    labels = {"pipeline": route.pipeline, "component": route.target.component, "target": route.target.name}
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
