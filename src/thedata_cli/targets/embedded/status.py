"""What the services are doing, read from the supervisor or, when it is dead, from what it recorded."""

from __future__ import annotations

import time
from collections.abc import Mapping

from thedata_cli.targets.embedded.layout import Layout
from thedata_cli.targets.embedded.probes import ProbeTarget, ask
from thedata_cli.targets.embedded.states import ServicePhase, ServiceState
from thedata_cli.targets.embedded.supervisor.process_spec import marker_value
from thedata_cli.targets.embedded.supervisor.processes import find_orphan
from thedata_cli.targets.embedded.supervisor.record import read_record
from thedata_cli.targets.embedded.supervisor.service import describe_exit
from thedata_cli.targets.embedded.supervisor_client import Answer, find_supervisor

ORPHANED = "orphaned"
"""Phase of a service that runs without a supervisor."""


async def known_services(layout: Layout) -> Mapping[str, Answer]:
    """Return what is known of each service that was started since the last `down`."""
    supervisor = await find_supervisor(layout)
    if supervisor:
        services: Mapping[str, Answer] = (await supervisor.status())["services"]
        return services
    record = read_record(layout.record_file)
    return {
        name: {**known, "phase": ORPHANED}
        for name, known in (record["services"] if record else {}).items()
        if known["process_started"] is not None
        and find_orphan(known["pid"], known["process_started"], marker_value(layout.key, name))
    }


async def service_state(service: str, known: Answer | None, remembered_ports: Mapping[str, int]) -> ServiceState:
    """Return the state of one service, asking it for its health."""
    if known is None:
        return ServiceState(service, ServicePhase.STOPPED, ports=remembered_ports)
    facts = known["spec"]["facts"]
    state, detail = await _state(service, known)
    return ServiceState(
        service,
        state,
        pid=known["pid"],
        host=facts["host"],
        ports=facts["ports"],
        uptime_s=max(0.0, time.time() - known["started_at"]) if known["pid"] is not None else None,
        restarts=known["restarts"],
        version=facts["version"],
        detail=detail,
    )


async def _state(service: str, known: Answer) -> tuple[ServicePhase, str]:
    last_exit = known["error"] or describe_exit(known["exit_code"])
    match known["phase"]:
        case "stopping":
            return ServicePhase.STOPPING, ""
        case "pausing":
            return ServicePhase.RESTARTING, f"{last_exit}; next start in {known['pause_s']:.1f} s"
        case "stopped" if known["error"] or known["exit_code"] is not None:
            return ServicePhase.FAILED, f"{last_exit}; `thedata logs {service}` shows more"
        case "stopped":
            return ServicePhase.STOPPED, ""
    refusal = await ask(ProbeTarget(**known["spec"]["facts"]["probe"]))
    if refusal:
        return ServicePhase.UNHEALTHY, f"{ProbeTarget(**known['spec']['facts']['probe']).url} {refusal}"
    if known["phase"] == ORPHANED:
        return ServicePhase.HEALTHY, "runs without its supervisor; `thedata up` takes it over"
    return ServicePhase.HEALTHY, ""
