"""The worker's HTTP port: `/healthz` for people and probes, `/metrics` for Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus

from thedata_cli import __version__
from thedata_cli.errors import ServiceStartError
from thedata_cli.pipeline.metrics import prometheus_text
from thedata_cli.pipeline.progress import RouteProgress, RouteState

_REQUEST_LIMIT_S = 5.0


def health_json(routes: Sequence[RouteProgress]) -> str:
    """Return the answer of `/healthz`: `ok`, or `degraded` while a route cannot move its messages."""
    held_up = any(route.state in (RouteState.WAITING, RouteState.RETRYING) for route in routes)
    return json.dumps(
        {
            "status": "degraded" if held_up else "ok",
            "version": __version__,
            "routes": [route.as_json() for route in routes],
        }
    )


@contextlib.asynccontextmanager
async def health_server(routes: Sequence[RouteProgress], *, host: str, port: int) -> AsyncIterator[int]:
    """Answer on the port until the end of the context; gives the port, which is chosen when `port` is 0.

    `/healthz` is 200 whenever the worker itself works. A route that waits for a store does not make it unhealthy,
    because a restart of the worker would not help.

    Raises:
        ServiceStartError: The port is taken.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_REQUEST_LIMIT_S):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(request, routes))
                await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(answer, host, port)
    except OSError as error:
        raise ServiceStartError(
            f"the worker cannot listen on {host}:{port}: {error.strerror or error}",
            hint="stop what uses the port, or let `thedata up` choose another",
        ) from error
    async with server:
        yield server.sockets[0].getsockname()[1]


def _response(request: bytes, routes: Sequence[RouteProgress]) -> bytes:
    method, _, rest = request.decode("latin-1").partition(" ")
    path = rest.split(" ")[0].partition("?")[0]
    status, kind, body = HTTPStatus.OK, "application/json", ""
    if method not in ("GET", "HEAD"):
        status, body = HTTPStatus.METHOD_NOT_ALLOWED, json.dumps({"error": "only GET and HEAD"})
    elif path == "/healthz":
        body = health_json(routes)
    elif path == "/metrics":
        kind, body = "text/plain; version=0.0.4; charset=utf-8", prometheus_text(routes)
    else:
        status, body = HTTPStatus.NOT_FOUND, json.dumps({"error": "see /healthz and /metrics"})
    payload = body.encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
    ).encode()
    return head if method == "HEAD" else head + payload
