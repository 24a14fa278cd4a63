"""Events with the time at which they happened."""

from __future__ import annotations

import time

from thedata_cli.targets.embedded.states import OnEvent, ServiceEvent, ServicePhase


class Teller:
    """Passes events on, each with the seconds since the command began."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._began = time.perf_counter()

    def tell(self, service: str, state: ServicePhase, detail: str = "", *, changed: bool = True) -> None:
        """Tell one event."""
        self._on_event(ServiceEvent(service, state, detail, time.perf_counter() - self._began, changed))
