"""The paths of ClickHouse's HTTP interface, and what one query goes through from request to response."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from thedata_cli.components.clickhouse.server.body import Body, ClientGoneError, Receive
from thedata_cli.components.clickhouse.server.engine import Engine
from thedata_cli.components.clickhouse.server.errors import (
    QUERY_ALREADY_RUNNING,
    READONLY,
    ClickHouseError,
    exception_trailer,
)
from thedata_cli.components.clickhouse.server.execution import ResultStream, insert_rows, run_command
from thedata_cli.components.clickhouse.server.formats import content_type
from thedata_cli.components.clickhouse.server.request import Login, Request
from thedata_cli.components.clickhouse.server.response import Response, Send, summary_header
from thedata_cli.components.clickhouse.server.sessions import Lease, Sessions
from thedata_cli.components.clickhouse.server.statement import Kind, Statement, UnfinishedError, split_statement

_FIRST_LOOK_BYTES = 256 * 1024
_MAX_STATEMENT_BYTES = 64 << 20
_MAX_RUNNING_QUERIES = 100
_NO_SUCH_PATH = (
    "There is no handle {path}\n\nUse / or /ping for health checks.\nOr /replicas_status for more sophisticated health "
    "checks.\n\nSend queries from your program with POST method or GET /?query=...\n"
)


class BrokenOffError(Exception):
    """The response has ended with an error inside it, and its connection must not be used again."""


class Application:
    """The ASGI application around one engine."""

    def __init__(self, engine: Engine, login: Login, database: str, log: Callable[[str], None]) -> None:
        self._engine = engine
        self._login = login
        self._log = log
        self._pool = ThreadPoolExecutor(_MAX_RUNNING_QUERIES, thread_name_prefix="query")
        self._sessions = Sessions(engine, self._pool, database)
        self._running: dict[str, str] = {}
        self._server_name = socket.gethostname()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        method, path = scope["method"], scope["path"]
        request = Request(method, scope["query_string"], scope["headers"])
        if path in ("/ping", "/replicas_status"):
            await _send_text(send, 200, "Ok.\n")
        elif path not in ("/", "/query"):
            await _send_text(send, 404, _NO_SUCH_PATH.format(path=path))
        elif method not in ("GET", "HEAD", "POST", "PUT"):
            await _send_text(send, 501, f"Method {method} is not supported.\n")
        elif request.is_read_only and not request.query:
            await _send_text(send, 200, "Ok.\n")
        else:
            await self._answer_query(request, receive, send)

    async def _answer_query(self, request: Request, receive: Receive, send: Send) -> None:
        response: Response | None = None
        try:
            response = Response(send, request)
            self._describe(request, response)
            request.authenticate(self._login)
            await self._run_query(request, Body(receive, request), response)
        except ClientGoneError:
            self._log(f"query {request.query_id}: the client went away")
        except ClickHouseError as error:
            self._log(f"query {request.query_id}: code {error.code} {error.name}")
            await self._answer_error(error, response or Response(send, Request("GET", b"", [])))
        finally:
            if response:
                response.close()

    def _describe(self, request: Request, response: Response) -> None:
        response.set_header("Content-Type", "text/plain; charset=UTF-8")
        response.set_header("X-ClickHouse-Server-Display-Name", self._server_name)
        response.set_header("X-ClickHouse-Query-Id", request.query_id)
        response.set_header("X-ClickHouse-Timezone", self._engine.timezone)

    async def _answer_error(self, error: ClickHouseError, response: Response) -> None:
        response.set_header("X-ClickHouse-Exception-Code", str(error.code))
        if error.status == 401:
            response.set_header("WWW-Authenticate", 'Basic realm="ClickHouse server HTTP API"')
        await response.fail(error.status, error.text(self._engine.version) + "\n")

    async def _run_query(self, request: Request, body: Body, response: Response) -> None:
        if request.query_id in self._running:
            raise ClickHouseError(QUERY_ALREADY_RUNNING, f"Query with id = {request.query_id} is already running.")
        marker = f"[{uuid.uuid4()}]"
        self._running[request.query_id] = marker
        lease: Lease | None = None
        try:
            statement, data = await _read_statement(request, body)
            lease = await self._sessions.lease(request.session())
            settings = request.settings()
            settings["log_comment"] = settings.get("log_comment", "") + marker
            await lease.prepare(settings, request.database)
            if request.is_read_only:
                await self._refuse_writing(statement)
            await self._execute(request, statement, data, body, lease, response, marker)
        finally:
            del self._running[request.query_id]
            if lease:
                await lease.release()

    async def _refuse_writing(self, statement: Statement) -> None:
        if not await asyncio.to_thread(self._engine.is_read_only, statement.sql):
            raise ClickHouseError(
                READONLY,
                "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
                "You should use method POST for modifying queries.",
            )

    async def _execute(
        self,
        request: Request,
        statement: Statement,
        data: bytes,
        body: Body,
        lease: Lease,
        response: Response,
        marker: str,
    ) -> None:
        if statement.kind is Kind.RESULT:
            await self._send_result(request, statement, body, lease, response, marker)
            return
        if statement.kind is Kind.INSERT_DATA:
            started = time.monotonic_ns()
            if request.query_parameters:
                await lease.prepare({f"param_{name}": value for name, value in request.query_parameters.items()}, "")
            written = await insert_rows(lease, statement, data, body)
            counts = {
                "written_rows": written.rows_written,
                "written_bytes": written.bytes_written,
                "elapsed_ns": time.monotonic_ns() - started,
            }
        else:
            counts = await lease.call(run_command, lease.connection, statement, request.query_parameters)
        response.set_header("X-ClickHouse-Summary", summary_header(counts))
        await lease.release()
        await response.finish()

    async def _send_result(
        self, request: Request, statement: Statement, body: Body, lease: Lease, response: Response, marker: str
    ) -> None:
        output_format = statement.format or request.default_format
        tag = uuid.uuid4().hex[:16]
        response.set_header("Content-Type", content_type(output_format))
        response.set_header("X-ClickHouse-Format", output_format)
        response.set_header("X-ClickHouse-Exception-Tag", tag)
        stream = ResultStream(lease, self._engine, marker)
        watching = asyncio.ensure_future(_cancel_on_disconnect(body, stream))
        started = time.monotonic_ns()
        try:
            async for chunk in stream.chunks(statement, output_format, request.query_parameters):
                if not watching.done():
                    await response.write(chunk)
            result = await stream.outcome()
        except ClickHouseError as error:
            if watching.done():
                raise ClientGoneError from error
            if not response.is_started:
                raise
            self._log(f"query {request.query_id}: code {error.code} {error.name} after its first bytes")
            await lease.release()
            await response.break_off(exception_trailer(error.text(self._engine.version), tag))
            raise BrokenOffError from error
        finally:
            watching.cancel()
        counts = {
            "read_rows": result.storage_rows_read(),
            "read_bytes": result.storage_bytes_read(),
            "result_rows": result.rows_read(),
            "result_bytes": result.bytes_read(),
            "elapsed_ns": time.monotonic_ns() - started,
        }
        response.set_header("X-ClickHouse-Summary", summary_header(counts))
        await lease.release()
        await response.finish()

    def close(self) -> None:
        """Stop what runs, and close the sessions."""
        for marker in list(self._running.values()):
            self._engine.cancel(marker)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._sessions.close()


async def _cancel_on_disconnect(body: Body, stream: ResultStream) -> None:
    await body.wait_for_disconnect()
    stream.cancel()


async def _read_statement(request: Request, body: Body) -> tuple[Statement, bytes]:
    """The statement of a request, and what has been read of the data behind it."""
    if request.query:
        alone = _insert_in_url(request.query)
        if alone:
            return alone, request.query[alone.data_offset or 0 :].strip()
    text = bytearray(request.query + b"\n" if request.query else b"")
    looked_bytes = 0
    while True:
        piece = await body.read()
        text += piece
        if piece and len(text) < max(_FIRST_LOOK_BYTES, 2 * looked_bytes) and looked_bytes:
            continue
        looked_bytes = len(text)
        try:
            statement = split_statement(bytes(text), complete=not piece)
        except UnfinishedError:
            if len(text) > _MAX_STATEMENT_BYTES:
                text += await body.read_all(0)
            continue
        return statement, bytes(text[statement.data_offset :]) if statement.data_offset is not None else b""


def _insert_in_url(query: bytes) -> Statement | None:
    try:
        statement = split_statement(query, complete=True)
    except ClickHouseError:
        # The rest of the statement may be in the body.
        return None
    return statement if statement.kind is Kind.INSERT_DATA else None


async def _send_text(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [(b"Content-Type", b"text/plain; charset=UTF-8"), (b"Content-Length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
