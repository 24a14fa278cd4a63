"""A connection for small statements, shared by all that a connected component does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from thedata_cli.errors import ServiceUnreachableError
from thedata_cli.postgres_client.server import PostgresServer

if TYPE_CHECKING:
    import psycopg


class PostgresConnection:
    """One connection, opened when first needed and again after it broke; calls wait for each other."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._open: psycopg.AsyncConnection[Any] | None = None
        self._lock = asyncio.Lock()

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the result of a query, all of it; a connection that broke meanwhile is opened again, once.

        Raises:
            ServiceUnreachableError: The server does not answer, or does not let us in.
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

    async def execute(self, sql: str, *, shown: str = "") -> None:
        """Run a statement that changes something; never a second time.

        Args:
            sql: What is sent.
            shown: What errors show in its place, when no word of it may be told.

        Raises:
            ServiceUnreachableError: The server does not answer; what it did with the statement is unknown.
            StatementRejectedError: It refuses the statement.
        """
        async with self._lock:
            await self._run(sql, shown)

    async def close(self) -> None:
        """Close it; it may be used again."""
        if self._open is not None:
            await self._open.close()
            self._open = None

    async def _run(self, sql: str, shown: str = "") -> list[tuple[Any, ...]]:
        if self._open is None or self._open.closed:
            self._open = await self._server.open()
        async with self._server.translated(shown or sql):
            cursor = await self._open.execute(sql)
            return await cursor.fetchall() if cursor.description else []
