"""Materialize's HTTP interface: webhooks, health, and SQL for small things."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from thedata_cli.components.materialize.emulator.catalog import Catalog
from thedata_cli.components.materialize.emulator.errors import describe
from thedata_cli.components.materialize.emulator.ingest import Ingest, Request
from thedata_cli.components.materialize.emulator.postgres import DATABASE
from thedata_cli.components.materialize.emulator.sql_over_http import run_sql
from thedata_cli.components.materialize.emulator.webhook_body import (
    MOST_BODY_BYTES,
    BodyError,
    body_values,
    decompress,
    header_values,
)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Scope = MutableMapping[str, Any]

_MOST_REQUESTS = 500
_WEBHOOK_PARTS = 6


class HttpServer:
    """The ASGI application."""

    def __init__(self, catalog: Catalog, ingest: Ingest, sql_port: int, log: Callable[[str], None]) -> None:
        self._catalog = catalog
        self._ingest = ingest
        self._sql_port = sql_port
        self._log = log
        self._requests = 0
        self.is_ready = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        path, method = scope["path"], scope["method"]
        try:
            if path == "/api/livez":
                await _answer(send, 200, "OK")
            elif path == "/api/readyz":
                await _answer(send, 200 if self.is_ready else 503, "ready" if self.is_ready else "not ready")
            elif path.startswith("/api/webhook/"):
                await self._webhook(scope, receive, method)
                await _answer(send, 200, "")
            elif path == "/api/sql":
                await self._sql(scope, receive, send)
            else:
                await _answer(send, 404, "the Materialize emulator does not support this path")
        except BodyError as error:
            await _answer(send, error.status, str(error))
        except Exception as error:
            self._log(f"http: {describe(error)}")
            await _answer(send, 500, f"internal failure: {type(error).__name__}")

    async def _webhook(self, scope: Scope, receive: Receive, method: str) -> None:
        if method != "POST":
            raise BodyError(405, "a webhook takes POST")
        if self._requests >= _MOST_REQUESTS:
            raise BodyError(429, "too many requests: 500 are being handled")
        self._requests += 1
        try:
            await self._append(scope, receive)
        finally:
            self._requests -= 1

    async def _append(self, scope: Scope, receive: Receive) -> None:
        headers = _unique_headers(scope["headers"])
        parts = [unquote(part) for part in scope["raw_path"].decode("latin-1").split("?")[0].split("/")]
        source = (
            self._catalog.webhook(parts[4], parts[5]) if len(parts) == _WEBHOOK_PARTS and parts[3] == DATABASE else None
        )
        body = await _body(receive)
        if source is None:
            name = ".".join(parts[3:])
            raise BodyError(404, f"no object was found at the path \"'{name}'\"")
        if not self.is_ready:
            raise BodyError(503, "service unavailable")
        definition = source.definition
        body = decompress(body, headers.get("content-encoding", ""))

        def read() -> list[bytes]:
            rest = header_values(headers, definition)
            return [value + rest for value in body_values(body, definition["body_format"])]

        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._ingest.append(Request(source, headers, body, read, done))

    async def _sql(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise BodyError(405, "/api/sql takes POST")
        try:
            document = json.loads(await _body(receive))
        except ValueError as error:
            raise BodyError(400, f"the body is not JSON: {error}") from error
        results = await run_sql(self._sql_port, document)
        await _answer(send, 200, json.dumps({"results": results}), "application/json")


def _unique_headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name = raw_name.decode("latin-1").lower()
        if name in headers:
            raise BodyError(401, f"headers of request were invalid: {name} provided more than once")
        # Materialize leaves out values that are not ASCII.
        if raw_value.isascii():
            headers[name] = raw_value.decode("ascii")
    return headers


async def _body(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise BodyError(400, "the client went away")
        parts.append(event.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BODY_BYTES:
            raise BodyError(413, "length limit exceeded")
        if not event.get("more_body"):
            return b"".join(parts)


async def _answer(send: Send, status: int, text: str, content_type: str = "text/plain; charset=utf-8") -> None:
    body = text.encode()
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
