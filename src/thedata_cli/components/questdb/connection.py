"""The PostgreSQL connection to QuestDB, with its errors told in the product's words.

PostgreSQL's protocol and not HTTP for SQL: it brings typed values, errors in the middle of a result, cancelling, and
blocks of rows (measured: a million rows a second in constant memory; small statements in half the time of `/exec`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.components.questdb.login import PASSWORD, USER
from thedata_cli.components.questdb.sql_text import place
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError, TheDataError

if TYPE_CHECKING:
    import psycopg

CONNECT_LIMIT_S = 5
STATEMENT_LIMIT_S = 75
"""The server gives up on a query of its own accord after 60 s, and says so."""


class Connection:
    """One connection, opened when first needed and again after it broke; calls wait for each other."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._open: psycopg.AsyncConnection[Any] | None = None
        self._lock = asyncio.Lock()

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the result of a SELECT, all of it; a connection that broke meanwhile is opened again, once.

        Raises:
            ServiceUnreachableError: The server does not answer, or does not let us in.
            StatementRejectedError: It refuses the statement.
        """
        async with self._lock:
            is_fresh = self._is_closed
            try:
                return await self._run(sql)
            except ServiceUnreachableError:
                if is_fresh:
                    raise
            return await self._run(sql)

    async def execute(self, sql: str) -> None:
        """Run a statement that changes something; never a second time.

        Raises:
            ServiceUnreachableError: The server does not answer; what it did with the statement is unknown.
            StatementRejectedError: It refuses the statement.
        """
        async with self._lock:
            await self._run(sql)

    async def server_version(self) -> str:
        """Return the version that the server reports.

        Raises:
            ServiceUnreachableError: What answers is not QuestDB.
        """
        try:
            build = str((await self.rows("SELECT build()"))[0][0])
        except StatementRejectedError as error:
            raise _refused(self.endpoint, error.message) from error
        match = re.search(r"QuestDB ([^\s,]+)", build)
        return match[1] if match else build

    async def close(self) -> None:
        """Close it; it may be used again."""
        if self._open is not None:
            await self._open.close()
            self._open = None

    @property
    def _is_closed(self) -> bool:
        return self._open is None or self._open.closed

    async def _run(self, sql: str) -> list[tuple[Any, ...]]:
        if self._open is None or self._open.closed:
            self._open = await open_connection(self.endpoint)
        async with translated(sql, self.endpoint):
            cursor = await self._open.execute(sql)
            return await cursor.fetchall() if cursor.description else []


async def open_connection(endpoint: Endpoint) -> psycopg.AsyncConnection[Any]:
    """Connect and make sure that it is QuestDB that answers.

    Raises:
        ServiceUnreachableError: Nothing answers, something else answers, or the login is refused.
    """
    import psycopg

    try:
        async with asyncio.timeout(CONNECT_LIMIT_S):
            connection = await psycopg.AsyncConnection.connect(
                host=endpoint.host,
                port=endpoint.ports["postgres"],
                user=USER,
                password=endpoint.secrets.get(PASSWORD, ""),
                dbname="qdb",
                autocommit=True,
                prepare_threshold=None,
                sslmode="disable",
                gssencmode="disable",
                connect_timeout=CONNECT_LIMIT_S,
                application_name="thedata",
            )
    except TimeoutError:
        raise _unreachable(endpoint, f"gave no answer within {CONNECT_LIMIT_S} s") from None
    except psycopg.Error as error:
        raise _refused(endpoint, str(error)) from error
    _decode_times(connection)
    return connection


def _refused(endpoint: Endpoint, reason: str) -> ServiceUnreachableError:
    """Tell a wrong password, nothing there, and another program apart."""
    address = f"{endpoint.host}:{endpoint.ports['postgres']}"
    if "invalid username/password" in reason or "authentication failed" in reason:
        return ServiceUnreachableError(
            f"QuestDB at {address} refuses the login of user `{USER}`",
            hint=f"is `secrets/{PASSWORD}` the password it was started with? `thedata down` and `thedata up` set it",
        )
    if any(words in reason for words in ("refused", "timeout", "No route", "resolve", "unreachable")):
        return _unreachable(endpoint, "does not answer")
    last = reason.strip().splitlines()[-1] if reason.strip() else "no reason given"
    return ServiceUnreachableError(
        f"what answers at {address} is not QuestDB: {last}",
        hint="another program has the port; `thedata up` chooses a free one",
    )


def _unreachable(endpoint: Endpoint, what: str) -> ServiceUnreachableError:
    return ServiceUnreachableError(
        f"QuestDB at {endpoint.host}:{endpoint.ports['postgres']} {what}",
        hint="start it with `thedata up`; `thedata logs questdb` says why it does not run",
    )


def _decode_times(connection: psycopg.AsyncConnection[Any]) -> None:
    """Decode times as aware: the server's are all UTC, and say so nowhere."""
    from datetime import UTC, datetime

    from psycopg.types.datetime import TimestampLoader

    class UtcLoader(TimestampLoader):
        def load(self, data: Any) -> datetime:
            return super().load(data).replace(tzinfo=UTC)

    connection.adapters.register_loader("timestamp", UtcLoader)


@asynccontextmanager
async def translated(sql: str, endpoint: Endpoint) -> AsyncIterator[None]:
    """Set a time limit, and turn the driver's errors into the product's."""
    import psycopg

    limit = asyncio.timeout(STATEMENT_LIMIT_S)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise _unreachable(endpoint, f"gave no answer within {STATEMENT_LIMIT_S} s to: {_beginning(sql)}") from None
    except psycopg.Error as error:
        raise _translate(error, sql, endpoint) from error


def _translate(error: psycopg.Error, sql: str, endpoint: Endpoint) -> TheDataError:
    import psycopg

    position = error.diag.statement_position
    # A refusal has fields, if only a severity; a broken connection has none.
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not error.diag.severity:
        return _unreachable(endpoint, f"went away: {_first_line(error)}")
    line, column = place(sql, int(position)) if position else (0, 0)
    return StatementRejectedError(
        f"QuestDB: {error.diag.message_primary or _first_line(error)}",
        detail=_pointer(sql, line, column),
        line=line,
        column=column,
    )


def _pointer(sql: str, line: int, column: int) -> str:
    if not line:
        return ""
    return f"{sql.splitlines()[line - 1] if line <= len(sql.splitlines()) else ''}\n{' ' * (column - 1)}^"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _beginning(sql: str) -> str:
    plain = " ".join(sql.split())
    return plain if len(plain) <= 80 else plain[:79] + "…"
