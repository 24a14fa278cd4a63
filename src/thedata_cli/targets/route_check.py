"""What keeps routes from moving messages, as the worker itself tells it; for the doctor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thedata_cli.project.registry import WORKER
from thedata_cli.targets.embedded.states import ServiceState

_LIMIT_S = 5


async def held_up_routes(states: Sequence[ServiceState]) -> Mapping[str, str]:
    """Return why each route that cannot move its messages cannot, by its consumer; empty when the worker is silent."""
    import httpx

    worker = next((state for state in states if state.service == WORKER and state.pid is not None), None)
    if worker is None:
        return {}
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_LIMIT_S) as client:
            answer = await client.get(f"http://{worker.host}:{worker.ports['health']}/healthz")
        return {route["consumer"]: route["reason"] for route in answer.json()["routes"] if route["reason"]}
    except (httpx.HTTPError, ValueError, KeyError):
        return {}
