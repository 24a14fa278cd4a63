"""ClickHouse's HTTP interface: requests with a time limit, answers as bytes, and every error as one of ours.

httpcore, which httpx is built on, takes a quarter of httpx's time to import, and the asynchronous client of
clickhouse-connect needs one HTTP library more.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import httpcore

from thedata_cli.components.clickhouse.rejections import server_error
from thedata_cli.errors import ServiceUnreachableError

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 30.0
STATEMENT_TIMEOUT_S = 600.0
_KEPT_OPEN_S = 10.0
_MAX_CONNECTIONS = 32
_START_HINT = "start it with `thedata up`"
_MAX_ERROR_BYTES = 64 * 1024
_REFUSED_LOGINS = frozenset({192, 193, 194, 516})

_ROWS = {"default_format": "JSONCompactEachRow", "output_format_json_quote_64bit_integers": "0"}


class BrokenOffError(ServiceUnreachableError):
    """The other side closed the connection in the middle, or sent what is no HTTP."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"clickhouse at {address} does not answer: {reason}", hint=_START_HINT)


class Answer:
    """A response under way: its headers are known, its body is still coming."""

    def __init__(self, response: httpcore.Response, sql: str, address: str) -> None:
        self._response = response
        self._sql = sql
        self._address = address
        self._headers = {name.lower().decode(): value.decode() for name, value in response.headers}

    @property
    def format(self) -> str:
        """Format of the result; empty for a statement that has none."""
        return self._headers.get("x-clickhouse-format", "")

    @property
    def summary(self) -> Mapping[str, Any]:
        """The counts of the finished statement."""
        summary: dict[str, Any] = json.loads(self._headers.get("x-clickhouse-summary", "{}"))
        return summary

    async def check(self) -> None:
        """Raise what the response says instead of a result."""
        code = self._headers.get("x-clickhouse-exception-code", "")
        if self._response.status == 200 and not code and self._is_clickhouse:
            return
        body = b""
        with unreachable(self._address):
            async for chunk in self._response.aiter_stream():
                body += chunk
                if len(body) > _MAX_ERROR_BYTES:
                    break
        if not self._is_clickhouse:
            raise another_program(self._address, f"it answers HTTP status {self._response.status}")
        error = server_error(body.decode(errors="replace"), self._sql, number=int(code or 0))
        if error.number in _REFUSED_LOGINS:
            raise ServiceUnreachableError(
                f"clickhouse at {self._address} refuses the user or password",
                hint="compare secrets/clickhouse_password with the password the server was started with",
                detail=error.reason,
            )
        raise error

    @property
    def _is_clickhouse(self) -> bool:
        return any(name.startswith("x-clickhouse-") for name in self._headers)

    async def discard(self) -> None:
        """Read the body to its end, so that the connection can be used again."""
        async for _ in self.chunks():
            pass

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes.

        Raises:
            ServerError: The statement failed after its first bytes; what came before has been yielded.
        """
        tag = self._headers.get("x-clickhouse-exception-tag", "")
        marker = f"\r\n__exception__\r\n{tag}\r\n".encode() if tag else b""
        held = b""
        trailer: bytes | None = None
        try:
            with unreachable(self._address):
                async for chunk in self._response.aiter_stream():
                    if trailer is not None:
                        trailer += chunk
                        continue
                    data = held + chunk
                    at = data.find(marker) if marker else -1
                    if at >= 0:
                        data, trailer, held = data[:at], data[at + len(marker) :], b""
                    else:
                        cut = len(data) - _begun(data, marker)
                        data, held = data[:cut], data[cut:]
                    if data:
                        yield data
        except ServiceUnreachableError:
            # The server breaks the stream off behind the error.
            if trailer is None:
                raise
        if trailer is not None:
            raise server_error(_trailer_text(trailer), self._sql)
        if held:
            yield held


def _begun(data: bytes, marker: bytes) -> int:
    """Return how many bytes at the end may be the beginning of the marker."""
    at = data.rfind(b"\r", max(len(data) - len(marker), 0))
    while at >= 0 and not marker.startswith(data[at:]):
        at = data.rfind(b"\r", max(len(data) - len(marker), 0), at)
    return len(data) - at if at >= 0 and marker else 0


def _trailer_text(trailer: bytes) -> str:
    """Return the message in front of the line with its length and tag."""
    return re.sub(r"\n\d+ \w+\r\n__exception__\s*$", "", trailer.decode(errors="replace"))


def another_program(address: str, reason: str) -> ServiceUnreachableError:
    """Say that the port is taken by something else."""
    return ServiceUnreachableError(
        f"what listens at {address} is not ClickHouse: {reason}",
        hint="another program has the port; `thedata status` shows the ports of this project",
    )


@contextlib.contextmanager
def unreachable(address: str) -> Iterator[None]:
    """Turn every error of the HTTP library into ours."""
    try:
        yield
    except httpcore.ConnectTimeout as error:
        raise _no_answer(address, f"no connection within {CONNECT_TIMEOUT_S:g} s") from error
    except httpcore.TimeoutException as error:
        raise _no_answer(address, "no answer in time; the statement may still be running") from error
    except httpcore.RemoteProtocolError as error:
        raise BrokenOffError(address, str(error)) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol) as error:
        raise _no_answer(address, str(error) or type(error).__name__) from error
    except httpcore.ConnectionNotAvailable as error:
        raise _no_answer(address, "too many requests at once") from error


def _no_answer(address: str, reason: str) -> ServiceUnreachableError:
    return ServiceUnreachableError(f"clickhouse at {address} does not answer: {reason}", hint=_START_HINT)


class Connection:
    """A pool of connections to one server, with the login in every request."""

    def __init__(self, host: str, port: int, *, user: str, password: str, database: str) -> None:
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.database = database
        self._url = f"http://{self.address}/"
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = [("Host", self.address), ("Authorization", f"Basic {login}"), ("User-Agent", "thedata")]
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=_MAX_CONNECTIONS, max_keepalive_connections=_MAX_CONNECTIONS, keepalive_expiry=_KEPT_OPEN_S
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    @contextlib.asynccontextmanager
    async def send(
        self,
        sql: str,
        *,
        data: bytes | None = None,
        parameters: Mapping[str, str] | None = None,
        has_database: bool = True,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> AsyncIterator[Answer]:
        """Send one statement and give its answer once the headers are there.

        Args:
            sql: One statement.
            data: Rows behind an INSERT.
            parameters: Settings of the engine and of the HTTP interface.
            has_database: Whether the statement runs in the project's database, which must then exist.
            timeout_s: Seconds without a byte after which it is given up.

        Raises:
            ServerError: The server refuses the statement.
            ServiceUnreachableError: It does not answer, is something else, or refuses the login.
        """
        query = dict(parameters or {})
        if has_database:
            query["database"] = self.database
        if data is not None:
            query["query"] = sql
        content = sql.encode() if data is None else data
        headers = [*self._headers, ("Content-Length", str(len(content)))]
        timeout = {"connect": CONNECT_TIMEOUT_S, "read": timeout_s, "write": timeout_s, "pool": timeout_s}
        async with contextlib.AsyncExitStack() as exits:
            with unreachable(self.address):
                response = await exits.enter_async_context(
                    self._pool.stream(
                        "POST",
                        f"{self._url}?{urlencode(query)}",
                        headers=headers,
                        content=content,
                        extensions={"timeout": timeout},
                    )
                )
            answer = Answer(response, sql, self.address)
            await answer.check()
            yield answer

    async def run(
        self,
        sql: str,
        *,
        data: bytes | None = None,
        parameters: Mapping[str, str] | None = None,
        has_database: bool = True,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> bytes:
        """Send one statement and return the whole of its answer. Arguments and errors as for `send`."""
        async with self.send(
            sql, data=data, parameters=parameters, has_database=has_database, timeout_s=timeout_s
        ) as answer:
            return b"".join([chunk async for chunk in answer.chunks()])

    async def rows(
        self, sql: str, *, parameters: Mapping[str, str] | None = None, has_database: bool = False
    ) -> list[Sequence[Any]]:
        """Return the rows of a small result, as JSON has them."""
        import msgspec

        body = await self.run(
            sql,
            parameters={**_ROWS, **(parameters or {})},
            has_database=has_database,
        )
        rows: list[Sequence[Any]] = msgspec.json.Decoder().decode_lines(body)
        return rows
