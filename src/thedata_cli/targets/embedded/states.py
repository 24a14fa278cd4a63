"""What the embedded target tells about its services, while it works and when asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ServicePhase(StrEnum):
    """Where a service is in its life."""

    WAITING = "waiting"
    """For a service it depends on, or for another command at work on this project."""
    PREPARING = "preparing"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    """It runs, and its health check does not pass."""
    RESTARTING = "restarting"
    """It died and waits for its next start."""
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class ServiceEvent:
    """One step in the life of a service, told while a command works.

    Attributes:
        service: Name of the component; empty when the event is about the whole stack.
        detail: A few words for a person, such as "listens on 4223, 4222 is taken by pid 12 (nats-server)".
        seconds: Since the command began.
        changed: The command did something to the service; False means that it was found as wanted.
    """

    service: str
    state: ServicePhase
    detail: str = ""
    seconds: float = 0.0
    changed: bool = True


@dataclass(frozen=True)
class ServiceState:
    """One service at one moment.

    Attributes:
        pid: None when it does not run.
        host: Address that it listens on.
        ports: By the component's names; the remembered ones when it does not run.
        uptime_s: Since its last start; None when it does not run.
        restarts: How often the supervisor restarted it since somebody last started it.
        version: The version that runs, or ran last; empty when it never started.
        detail: Why it is not healthy; empty when it is.
    """

    service: str
    state: ServicePhase
    pid: int | None = None
    host: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    uptime_s: float | None = None
    restarts: int = 0
    version: str = ""
    detail: str = ""


@dataclass(frozen=True)
class LogLine:
    """One line of a service's log, without its line end."""

    service: str
    text: str


OnEvent = Callable[[ServiceEvent], None]
