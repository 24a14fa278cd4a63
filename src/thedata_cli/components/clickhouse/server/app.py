"""The paths of ClickHouse's HTTP interface, and the border where errors become responses."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from typing import Any

from thedata_cli.components.clickhouse.server.body import Body, ClientGoneError, Receive
from thedata_cli.components.clickhouse.server.engine import Engine
from thedata_cli.components.clickhouse.server.errors import LOGICAL_ERROR, QUERY_ALREADY_RUNNING, ClickHouseError
from thedata_cli.components.clickhouse.server.query import BrokenOffError, Query
from thedata_cli.components.clickhouse.server.request import Login, Request
from thedata_cli.components.clickhouse.server.response import Response, Send
from thedata_cli.components.clickhouse.server.sessions import Sessions

KEEP_ALIVE_S = 30
_MAX_ENGINE_CALLS = 100
_NO_SUCH_PATH = (
    "There is no handle {path}\n\nUse / or /ping for health checks.\nOr /replicas_status for more sophisticated health "
    "checks.\n\nSend queries from your program with POST method or GET /?query=...\n"
)


class Application:
    """The ASGI application around one engine."""

    def __init__(self, engine: Engine, login: Login, database: str, log: Callable[[str], None]) -> None:
        self._engine = engine
        self._login = login
        self._log = log
        self._pool = ThreadPoolExecutor(_MAX_ENGINE_CALLS, thread_name_prefix="query")
        self._sessions = Sessions(engine, self._pool, database)
        self._running: dict[str, Query] = {}
        self._server_name = socket.gethostname()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
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
            await self._answer_query(request, receive, Response(send))

    async def _answer_query(self, request: Request, receive: Receive, response: Response) -> None:
        try:
            response.set_header("Content-Type", "text/plain; charset=UTF-8")
            # A client that keeps a connection for longer would write into one that is just being closed.
            response.set_header("Keep-Alive", f"timeout={KEEP_ALIVE_S}")
            response.set_header("X-ClickHouse-Server-Display-Name", self._server_name)
            response.set_header("X-ClickHouse-Query-Id", request.query_id)
            response.set_header("X-ClickHouse-Timezone", self._engine.timezone)
            request.authenticate(self._login)
            response.serve(request)
            await self._run(request, Query(self._engine, request, Body(receive, request), response, self._log))
        except ClientGoneError:
            self._log(f"query {request.query_id}: the client went away")
        except ClickHouseError as error:
            self._log(f"query {request.query_id}: code {error.code} {error.name}")
            response.set_header("X-ClickHouse-Exception-Code", str(error.code))
            await response.fail(error.status, error.text(self._engine.version) + "\n")
        except BrokenOffError:
            # Returning without the end of the body makes the HTTP server break the connection.
            return
        except Exception as error:
            self._log(f"query {request.query_id}: internal error {type(error).__name__}: {error} ({_place(error)})")
            if not response.is_started:
                fault = ClickHouseError(LOGICAL_ERROR, f"Internal error of the embedded server: {type(error).__name__}")
                await response.fail(fault.status, fault.text(self._engine.version) + "\n")
        finally:
            response.close()

    async def _run(self, request: Request, query: Query) -> None:
        if request.query_id in self._running:
            raise ClickHouseError(QUERY_ALREADY_RUNNING, f"Query with id = {request.query_id} is already running.")
        self._running[request.query_id] = query
        try:
            await query.run(self._sessions, self._running)
        finally:
            del self._running[request.query_id]

    def close(self) -> None:
        """Stop what runs, and close the sessions."""
        for query in list(self._running.values()):
            self._engine.cancel(query.marker)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._sessions.close()


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}"


async def _send_text(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [(b"Content-Type", b"text/plain; charset=UTF-8"), (b"Content-Length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
