"""Requests to one webhook source, with a time limit, and every failure on the way as one of ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

import httpcore

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.components.materialize.objects import DATABASE, SCHEMA
from thedata_cli.errors import ServiceUnreachableError

_CONNECT_LIMIT_S = 5.0
_REQUEST_LIMIT_S = 60.0
_KEPT_OPEN_S = 2.0
"""Less than any server keeps an idle connection: a request must not meet the end of one."""


class Webhook:
    """The address of one source."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, endpoint: Endpoint, source: str) -> None:
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        self.address = f"{host}:{endpoint.ports['http']}"
        self._pool = pool
        self._url = f"http://{self.address}/api/webhook/{DATABASE}/{SCHEMA}/{quote(source, safe='')}"

    async def post(self, body: bytes, signature: str) -> tuple[int, str]:
        """Send one request.

        Args:
            body: JSON values, one a line.
            signature: Of the body; empty for none.

        Returns:
            Status and text of the answer.

        Raises:
            ServiceUnreachableError: There is no answer: the rows may or may not be in the source.
        """
        headers = [
            ("Host", self.address),
            ("Content-Type", "application/x-ndjson"),
            ("Content-Length", str(len(body))),
            ("User-Agent", "thedata"),
        ]
        if signature:
            headers.append(("x-signature", signature))
        timeout = {"connect": _CONNECT_LIMIT_S}
        with self._unreachable():
            async with asyncio.timeout(_REQUEST_LIMIT_S):
                response = await self._pool.request(
                    "POST", self._url, headers=headers, content=body, extensions={"timeout": timeout}
                )
        return response.status, response.content.decode(errors="replace").strip()

    @contextlib.contextmanager
    def _unreachable(self) -> Iterator[None]:
        try:
            yield
        except (TimeoutError, httpcore.TimeoutException) as error:
            raise self._no_answer("no answer in time") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ConnectionNotAvailable) as error:
            raise self._no_answer(str(error) or type(error).__name__) from error

    def _no_answer(self, reason: str) -> ServiceUnreachableError:
        return ServiceUnreachableError(
            f"Materialize at {self.address} does not answer: {reason}",
            hint="start it with `thedata up`; `thedata logs materialize` says why it does not run",
        )


@contextlib.asynccontextmanager
async def open_webhook(endpoint: Endpoint, source: str) -> AsyncIterator[Webhook]:
    """Open the address of a source; connects with the first request."""
    async with httpcore.AsyncConnectionPool(max_connections=1, keepalive_expiry=_KEPT_OPEN_S) as pool:
        yield Webhook(pool, endpoint, source)
