"""How far the pipelines are: what each route has still to write, and what ended as a dead letter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thedata_cli.component_api.live import StreamState
from thedata_cli.component_api.routes import Route


@dataclass(frozen=True)
class RouteLag:
    """Progress of one route.

    Attributes:
        pending: Messages that are not yet confirmed by the table; None when its consumer does not exist.
        redelivered: Messages that were delivered again and are not yet confirmed.
    """

    route: Route
    pending: int | None
    redelivered: int = 0


@dataclass(frozen=True)
class PipelineLag:
    """Progress of every route, and dead letters by stream."""

    routes: tuple[RouteLag, ...]
    dead_letters: Mapping[str, int]

    @property
    def total(self) -> int:
        """Messages that any route has still to write."""
        return sum(lag.pending or 0 for lag in self.routes)


def lag_of(routes: Sequence[Route], streams: Sequence[StreamState]) -> PipelineLag:
    """Match routes with the consumers that keep their progress."""
    by_name = {stream.name: stream for stream in streams}
    found = []
    for route in routes:
        stream = by_name.get(route.stream.name)
        consumers = {consumer.name: consumer for consumer in stream.consumers} if stream else {}
        consumer = consumers.get(route.consumer)
        if consumer is None:
            found.append(RouteLag(route, None))
        else:
            found.append(RouteLag(route, consumer.lag + consumer.unacknowledged, consumer.redelivered))
    letters = {route.dead_letter_stream for route in routes}
    return PipelineLag(tuple(found), {name: by_name[name].messages for name in sorted(letters & by_name.keys())})
