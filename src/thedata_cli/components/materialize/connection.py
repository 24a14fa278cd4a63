"""The PostgreSQL connection to Materialize, with its errors told in the product's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.sql_files import place_of
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError, TheDataError

if TYPE_CHECKING:
    import psycopg

USER, DATABASE = "materialize", "materialize"
CONNECT_LIMIT_S = 5
STATEMENT_LIMIT_S = 75
"""Materialize gives up on a query of its own accord after 60 s, and says so."""

_SERVER_ENDS = "57P0"


class Connection:
    """One connection, opened when first needed and again after it broke; calls wait for each other."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._open: psycopg.AsyncConnection[Any] | None = None
        self._lock = asyncio.Lock()

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the result of a query, all of it; a connection that broke meanwhile is opened again, once.

        Raises:
            ServiceUnreachableError: The server does not answer.
            StatementRejectedError: It refuses the statement.
        """
        async with self._lock:
            is_fresh = self._open is None or self._open.closed
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

    async def execute_secretly(self, sql: str, shown: str) -> None:
        """Run a statement of which no word may be told.

        Args:
            sql: What is sent.
            shown: What errors show in its place.

        Raises:
            ServiceUnreachableError: The server does not answer; what it did with the statement is unknown.
            StatementRejectedError: It refuses the statement.
        """
        async with self._lock:
            try:
                await self._run(sql, shown)
            except StatementRejectedError as error:
                # The driver's own words, which quote the statement, end here.
                raise StatementRejectedError(
                    error.message, hint=error.hint, detail=error.detail, line=error.line, column=error.column
                ) from None

    async def server_version(self) -> str:
        """Return the version that the server reports, and whose it is: the emulator says so itself.

        Raises:
            ServiceUnreachableError: What answers is not Materialize.
        """
        try:
            return str((await self.rows("SELECT mz_version()"))[0][0])
        except StatementRejectedError as error:
            raise _another_program(self.endpoint, error.message) from error

    async def close(self) -> None:
        """Close it; it may be used again."""
        if self._open is not None:
            await self._open.close()
            self._open = None

    async def _run(self, sql: str, shown: str = "") -> list[tuple[Any, ...]]:
        if self._open is None or self._open.closed:
            self._open = await open_connection(self.endpoint)
        async with translated(shown or sql, self.endpoint):
            cursor = await self._open.execute(sql)
            return await cursor.fetchall() if cursor.description else []


async def open_connection(endpoint: Endpoint) -> psycopg.AsyncConnection[Any]:
    """Connect.

    Raises:
        ServiceUnreachableError: Nothing answers, or something else does.
    """
    import psycopg

    try:
        async with asyncio.timeout(CONNECT_LIMIT_S):
            return await psycopg.AsyncConnection.connect(
                host=endpoint.host,
                port=endpoint.ports["sql"],
                user=USER,
                dbname=DATABASE,
                autocommit=True,
                prepare_threshold=None,
                sslmode="disable",
                gssencmode="disable",
                connect_timeout=CONNECT_LIMIT_S,
                application_name="thedata",
            )
    except TimeoutError:
        raise unreachable(endpoint, f"gave no answer within {CONNECT_LIMIT_S} s") from None
    except psycopg.Error as error:
        raise _refused(endpoint, str(error)) from error


@asynccontextmanager
async def translated(sql: str, endpoint: Endpoint) -> AsyncIterator[None]:
    """Set a time limit, and turn the driver's errors into the product's."""
    limit = asyncio.timeout(STATEMENT_LIMIT_S)
    with driver_errors(sql, endpoint):
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            what = f"gave no answer within {STATEMENT_LIMIT_S} s to: {_beginning(sql)}"
            raise unreachable(endpoint, what) from None


@contextmanager
def driver_errors(sql: str, endpoint: Endpoint) -> Iterator[None]:
    """Turn the driver's errors into the product's."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _translate(error, sql, endpoint) from error


def _translate(error: psycopg.Error, sql: str, endpoint: Endpoint) -> TheDataError:
    import psycopg

    # A refusal has fields, if only a severity; a broken connection has none, or says that the server ends.
    is_lost = not error.diag.severity or (error.sqlstate or "").startswith(_SERVER_ENDS)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and is_lost:
        return unreachable(endpoint, f"went away: {_first_line(str(error))}")
    position = error.diag.statement_position
    line, column = place_of(sql, int(position) - 1) if position else (0, 0)
    detail = [error.diag.message_detail or "", _pointer(sql, line, column)]
    return StatementRejectedError(
        f"Materialize: {error.diag.message_primary or _first_line(str(error))}",
        hint=error.diag.message_hint or "",
        detail="\n".join(filter(None, detail)),
        line=line,
        column=column,
    )


def _refused(endpoint: Endpoint, reason: str) -> ServiceUnreachableError:
    if any(words in reason for words in ("refused", "timeout", "No route", "resolve", "unreachable")):
        return unreachable(endpoint, "does not answer")
    return _another_program(endpoint, reason)


def _another_program(endpoint: Endpoint, reason: str) -> ServiceUnreachableError:
    return ServiceUnreachableError(
        f"what answers at {_address(endpoint)} is not Materialize: {_first_line(reason)}",
        hint="another program has the port; `thedata up` chooses a free one",
    )


def unreachable(endpoint: Endpoint, what: str) -> ServiceUnreachableError:
    """Say that the server does not answer, in words such as "went away"."""
    return ServiceUnreachableError(
        f"Materialize at {_address(endpoint)} {what}",
        hint="start it with `thedata up`; `thedata logs materialize` says why it does not run",
    )


def _address(endpoint: Endpoint) -> str:
    return f"{endpoint.host}:{endpoint.ports['sql']}"


def _pointer(sql: str, line: int, column: int) -> str:
    lines = sql.splitlines()
    return f"{lines[line - 1]}\n{' ' * (column - 1)}^" if 0 < line <= len(lines) else ""


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")


def _beginning(sql: str) -> str:
    plain = " ".join(sql.split())
    return plain if len(plain) <= 80 else plain[:79] + "…"
