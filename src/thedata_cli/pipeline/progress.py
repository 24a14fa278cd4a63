"""What each route is doing and has done: the one source of the health answer, the metrics and the log."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.errors import TheDataError

log = logging.getLogger("thedata.worker")


_DETAIL_LENGTH = 300


class RouteState(StrEnum):
    """What a route is doing."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    """For what is read: the broker, the stream, the consumer, the view; nothing is in hand."""
    RETRYING = "retrying"
    """Messages or changes are in hand, and what must take them does not."""
    STOPPED = "stopped"


@dataclass
class RouteProgress:
    """The state and the counters of one route since the worker started.

    Attributes:
        since: When the present state began.
        reason: Why it is not running; empty when it is.
        rows: Rows that the target confirmed, dead letters not counted; of a view, changes.
        retries: Attempts that failed and were or will be repeated.
        lag_s: Age of the newest message or change written, while more wait; 0 when the route has caught up.
        last_error: The latest failure, kept after it is over.
    """

    route: Route | ViewRoute
    state: RouteState = RouteState.STARTING
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    reason: str = ""
    rows: int = 0
    batches: int = 0
    dead_letters: int = 0
    retries: int = 0
    lag_s: float = 0.0
    last_error: str = ""
    last_error_at: datetime | None = None
    _cause: tuple[Any, ...] = ()

    def running(self) -> None:
        """Note that messages flow, or would if there were any."""
        self._enter(RouteState.RUNNING, "", ())

    def stopped(self) -> None:
        """Note the end."""
        self._enter(RouteState.STOPPED, "", ())

    def failed(self, state: RouteState, component: str, error: Exception) -> None:
        """Note a failed attempt; the log gets a line only when it failed for another reason than the one before.

        An error that is none of ours is a mistake in the code, and is logged with its traceback.
        """
        self.retries += 1
        if isinstance(error, TheDataError):
            message, hint, unknown = error.message, error.hint, None
        else:
            message, hint, unknown = f"{type(error).__name__}: {error}", "", error
        self.last_error = f"{component}: {message}" + _first_line(error)
        self.last_error_at = datetime.now(UTC)
        reason = self.last_error + (f" ({hint})" if hint else "")
        self._enter(state, reason, (component, type(error), hint), unknown)

    def written(self, *, rows: int, dead_letters: int, newest: datetime) -> None:
        """Note a batch that is stored, whose newest message or change is of the time `newest`."""
        self.rows += rows
        self.batches += 1
        self.dead_letters += dead_letters
        self.lag_s = max(0.0, (datetime.now(UTC) - newest).total_seconds())
        if dead_letters:
            log.warning("%s: %d dead letters", self.route.name, dead_letters)

    def caught_up(self) -> None:
        """Note that nothing waits."""
        self.lag_s = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as the health answer shows it."""
        return {
            "route": self.route.name,
            "pipeline": self.route.pipeline,
            "origin": f"{self.route.origin.component}/{self.route.origin.name}",
            "target": f"{self.route.target.component}/{self.route.target.name}",
            "state": self.state.value,
            "since": _as_text(self.since),
            "reason": self.reason,
            "rows": self.rows,
            "batches": self.batches,
            "dead_letters": self.dead_letters,
            "retries": self.retries,
            "lag_seconds": round(self.lag_s, 3),
            "last_error": self.last_error,
            "last_error_at": _as_text(self.last_error_at) if self.last_error_at else None,
        }

    def _enter(self, state: RouteState, reason: str, cause: tuple[Any, ...], unknown: Exception | None = None) -> None:
        is_change = (state, cause) != (self.state, self._cause)
        if is_change:
            self.since = datetime.now(UTC)
            level = logging.INFO if state in (RouteState.RUNNING, RouteState.STOPPED) else logging.WARNING
            log.log(level, "%s: %s%s", self.route.name, state, f": {reason}" if reason else "", exc_info=unknown)
        self.state, self.reason, self._cause = state, reason, cause


def _first_line(error: Exception) -> str:
    """Return the beginning of an error's detail, which may be the row at fault."""
    detail = error.detail.splitlines() if isinstance(error, TheDataError) else []
    return f"; {detail[0].strip()[:_DETAIL_LENGTH]}" if detail else ""


def _as_text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
