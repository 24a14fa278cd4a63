"""What keeps routes from moving messages, as the worker itself tells it; for the doctor."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from thedata_cli.project.registry import WORKER
from thedata_cli.targets.embedded.states import ServiceState

_LIMIT_S = 5


async def held_up_routes(states: Sequence[ServiceState]) -> Mapping[str, str]:
    """Return why each route that cannot move its messages cannot, by its name; empty when the worker is silent."""
    worker = next((state for state in states if state.service == WORKER and state.pid is not None), None)
    if worker is None:
        return {}
    address = f"http://{worker.host}:{worker.ports['health']}/healthz"
    try:
        answer = await asyncio.to_thread(_get, address)
        return {route["route"]: route["reason"] for route in answer["routes"] if route["reason"]}
    except (OSError, ValueError, KeyError):
        return {}


def _get(address: str) -> Any:
    """Return the JSON at an address of this machine, whatever proxy the environment names."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=_LIMIT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        # An unhealthy worker says why in the same form.
        return json.load(refusal)
