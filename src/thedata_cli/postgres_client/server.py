"""A server that speaks PostgreSQL's protocol: how it is reached, and how the driver's errors are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.sql_files import place_of
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError, TheDataError

if TYPE_CHECKING:
    import psycopg

CONNECT_LIMIT_S = 5
STATEMENT_LIMIT_S = 75
"""The servers give up on a query of their own accord after 60 s, and say so."""

_SERVER_ENDS = "57P0"
_NOBODY_THERE = ("refused", "timeout", "No route", "resolve", "unreachable")


class PostgresServer:
    """One server; a component derives its own from it."""

    product: ClassVar[str]
    """Its name in errors, such as `QuestDB`."""

    component: ClassVar[str]
    """Its name in commands, such as `questdb`."""

    port: ClassVar[str]
    """The component's name for the port."""

    user: ClassVar[str]
    database: ClassVar[str]

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.endpoint.host}:{self.endpoint.ports[self.port]}"

    @property
    def password(self) -> str | None:
        """Of the user; None where there is no login."""
        return None

    def prepare(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Make a new connection ready, where the server needs something special."""

    def refused(self, reason: str) -> ServiceUnreachableError:
        """Tell, from the driver's words, why no connection came about."""
        if any(words in reason for words in _NOBODY_THERE):
            return self.unreachable("does not answer")
        # The last line is the last of several attempts, where the host has several addresses.
        return self.another_program(first_line("\n".join(reason.strip().splitlines()[-1:])))

    async def open(self) -> psycopg.AsyncConnection[Any]:
        """Connect.

        Raises:
            ServiceUnreachableError: Nothing answers, something else does, or the login is refused.
        """
        import psycopg

        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                connection = await psycopg.AsyncConnection.connect(
                    host=self.endpoint.host,
                    port=self.endpoint.ports[self.port],
                    autocommit=True,
                    prepare_threshold=None,
                    sslmode="disable",
                    gssencmode="disable",
                    connect_timeout=CONNECT_LIMIT_S,
                    application_name="thedata",
                    user=self.user,
                    password=self.password,
                    dbname=self.database,
                )
        except TimeoutError:
            raise self.unreachable(f"gave no answer within {CONNECT_LIMIT_S} s") from None
        except psycopg.Error as error:
            raise self.refused(str(error)) from error
        self.prepare(connection)
        return connection

    @asynccontextmanager
    async def translated(self, sql: str) -> AsyncIterator[None]:
        """Set a time limit, and turn the driver's errors into the product's."""
        limit = asyncio.timeout(STATEMENT_LIMIT_S)
        with self.driver_errors(sql):
            try:
                async with limit:
                    yield
            except TimeoutError:
                if not limit.expired():
                    raise
                raise self.unreachable(f"gave no answer within {STATEMENT_LIMIT_S} s to: {_beginning(sql)}") from None

    @contextmanager
    def driver_errors(self, sql: str) -> Iterator[None]:
        """Turn the driver's errors into the product's."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise self._translate(error, sql) from error

    def unreachable(self, what: str) -> ServiceUnreachableError:
        """Say that the server does not answer, in words such as "went away"."""
        return ServiceUnreachableError(
            f"{self.product} at {self.address} {what}",
            hint=f"start it with `thedata up`; `thedata logs {self.component}` says why it does not run",
        )

    def another_program(self, reason: str) -> ServiceUnreachableError:
        """Say that something else has the port."""
        return ServiceUnreachableError(
            f"what answers at {self.address} is not {self.product}: {reason}",
            hint="another program has the port; `thedata up` chooses a free one",
        )

    def _translate(self, error: psycopg.Error, sql: str) -> TheDataError:
        import psycopg

        # A refusal has fields, if only a severity; a broken connection has none, or says that the server ends.
        is_lost = not error.diag.severity or (error.sqlstate or "").startswith(_SERVER_ENDS)
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and is_lost:
            return self.unreachable(f"went away: {first_line(str(error))}")
        line, column = _place(sql, error.diag.statement_position)
        detail = [error.diag.message_detail or "", _pointer(sql, line, column)]
        return StatementRejectedError(
            f"{self.product}: {error.diag.message_primary or first_line(str(error))}",
            hint=error.diag.message_hint or "",
            detail="\n".join(filter(None, detail)),
            line=line,
            column=column,
        )


def first_line(text: str) -> str:
    """Return the first line of a text that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")


def _place(sql: str, position: str | None) -> tuple[int, int]:
    """Return line and column of the server's position, which counts from 1; zeros when it is not in the text."""
    offset = int(position) - 1 if position else -1
    return place_of(sql, offset) if 0 <= offset <= len(sql) else (0, 0)


def _pointer(sql: str, line: int, column: int) -> str:
    lines = sql.splitlines()
    return f"{lines[line - 1]}\n{' ' * (column - 1)}^" if 0 < line <= len(lines) else ""


def _beginning(sql: str) -> str:
    plain = " ".join(sql.split())
    return plain if len(plain) <= 80 else plain[:79] + "…"
