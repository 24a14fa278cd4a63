"""A stack at one moment: what the target says of its processes, and what the services say of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thedata_cli.component_api.component import Component
from thedata_cli.component_api.live import CanTail
from thedata_cli.errors import TheDataError
from thedata_cli.project.model import Project
from thedata_cli.project.registry import WORKER
from thedata_cli.stack.lag import PipelineLag, lag_of
from thedata_cli.stack.live_stack import LiveStack, connect
from thedata_cli.targets.embedded.runtime import EmbeddedTarget
from thedata_cli.targets.embedded.states import ServicePhase, ServiceState


@dataclass(frozen=True)
class ServiceStatus:
    """One service.

    Attributes:
        state: Its phase in life, such as `healthy` or `stopped`.
        version_wanted: Pinned by the project, else the default.
        version_running: Empty when it does not run.
        ports: By the component's names.
        url: Where a person would look; empty when there is nothing to see.
        uptime_s: None when it does not run.
        restarts: By the supervisor, since somebody last started it.
        lag: Messages that it has not yet processed; None for a service that processes none.
        detail: Why it is not healthy; empty when it is.
    """

    name: str
    state: str
    version_wanted: str = ""
    version_running: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    url: str = ""
    uptime_s: float | None = None
    restarts: int = 0
    lag: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class StackStatus:
    """Every service of a project, and the target that runs them."""

    project: str
    target: str
    services: Sequence[ServiceStatus]

    @property
    def is_healthy(self) -> bool:
        """Whether every service runs and passes its health check."""
        return all(service.state == ServicePhase.HEALTHY for service in self.services)


async def stack_status(project: Project, target: EmbeddedTarget) -> StackStatus:
    """Ask the target and, where they answer, the services."""
    states = await target.status()
    healthy = [state.service for state in states if state.state is ServicePhase.HEALTHY]
    versions: Mapping[str, str] = {}
    lag: PipelineLag | None = None
    if healthy:
        try:
            async with connect(project.name, project.components, target.endpoints(), only=healthy) as live:
                versions = await live.versions()
                lag = await pipeline_lag(project, live)
        except TheDataError:
            # A service that died between the two questions is told by its own line the next time.
            versions = {}
    services = [_service(state, project.components.get(state.service), versions, lag) for state in states]
    return StackStatus(project.name, target.name, services)


async def pipeline_lag(project: Project, live: LiveStack) -> PipelineLag | None:
    """Return how far the pipelines are; None when the project has none, or its streams cannot be asked."""
    if not project.routes:
        return None
    broker = live.get(project.routes[0].stream.component)
    return lag_of(project.routes, await broker.streams()) if isinstance(broker, CanTail) else None


def _service(
    state: ServiceState, component: Component | None, versions: Mapping[str, str], lag: PipelineLag | None
) -> ServiceStatus:
    is_running = state.pid is not None
    return ServiceStatus(
        name=state.service,
        state=state.state,
        version_wanted=component.wanted_version if component else "",
        version_running=versions.get(state.service, state.version if is_running else ""),
        ports=state.ports,
        url=component.web_address(state.host, state.ports) if component and is_running else "",
        uptime_s=state.uptime_s,
        restarts=state.restarts,
        lag=lag.total if lag and state.service == WORKER else None,
        detail=state.detail,
    )
