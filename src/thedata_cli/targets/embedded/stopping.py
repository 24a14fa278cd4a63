"""Stopping services: all at once, each as soon as what depends on it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from thedata_cli.targets.embedded.states import ServicePhase
from thedata_cli.targets.embedded.supervisor_client import Answer, SupervisorClient
from thedata_cli.targets.embedded.telling import Teller


async def stop_services(
    supervisor: SupervisorClient, services: Mapping[str, Answer], chosen: Collection[str], teller: Teller
) -> None:
    """Stop the chosen services in good order.

    Args:
        supervisor: Does it.
        services: What the supervisor knows, by name.
        chosen: Names of services to stop.
        teller: Told of each step.
    """
    ended = {service: asyncio.Event() for service in chosen}

    async def stop(service: str) -> None:
        dependants = [other for other in chosen if service in services[other]["spec"]["facts"]["depends_on"]]
        await asyncio.gather(*(ended[other].wait() for other in dependants))
        ran = services[service]["pid"] is not None
        if ran:
            teller.tell(service, ServicePhase.STOPPING)
        limit_s = services[service]["spec"]["stop_timeout_s"]
        answer = await supervisor.stop(service, limit_s)
        killed = f"killed, as it did not end within {limit_s:g} s" if answer["was_killed"] else ""
        teller.tell(service, ServicePhase.STOPPED, killed, changed=ran)
        ended[service].set()

    async with asyncio.TaskGroup() as group:
        for service in chosen:
            group.create_task(stop(service))
