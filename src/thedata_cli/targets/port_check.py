"""Whether the ports that a stack wants are free, for the doctor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thedata_cli.component_api.component import Component
from thedata_cli.health import CheckResult, CheckStatus
from thedata_cli.targets.embedded.diagnosis import port_holder
from thedata_cli.targets.embedded.ports import is_port_free
from thedata_cli.targets.embedded.states import ServiceState


def check_ports(components: Mapping[str, Component], states: Sequence[ServiceState]) -> CheckResult:
    """Look who holds the remembered ports, or the usual ones of a service that was never started.

    A port that is taken is no problem, since `up` takes the next free one and tells it; but it explains a new number.
    """
    taken: dict[int, str] = {}
    for state in states:
        if state.service not in components or state.pid is not None:
            continue
        for number in (state.ports or components[state.service].ports).values():
            if not is_port_free(state.host, number):
                taken[number] = port_holder(state.host, number) or "another program"
    facts: dict[str, object] = {"taken": {str(number): holder for number, holder in taken.items()}}
    if taken:
        names = ", ".join(f"{number} by {holder}" for number, holder in sorted(taken.items()))
        summary = f"taken: {names}; `thedata up` takes the next free ones and tells them"
    elif all(state.pid is not None for state in states):
        summary = "every service runs on its ports"
    else:
        summary = "the ports of all stopped services are free"
    return CheckResult("machine.ports", CheckStatus.OK, summary, facts=facts)
