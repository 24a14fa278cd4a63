"""What a NATS server says about itself on its monitoring port."""

from __future__ import annotations

from thedata_cli.component_api.endpoints import Endpoint

_LIMIT_S = 5


async def sickness(endpoint: Endpoint) -> str:
    """Return what the server's own health check complains about; empty when nothing, or when it does not answer."""
    import httpx

    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_LIMIT_S) as client:
            answer = await client.get(f"http://{host}:{endpoint.ports['monitor']}/healthz")
            return "" if answer.is_success else str(answer.json()["error"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return ""
