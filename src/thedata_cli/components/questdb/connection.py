"""The PostgreSQL connection to QuestDB, with its errors told in the product's words.

PostgreSQL's protocol and not HTTP for SQL: it brings typed values, errors in the middle of a result, cancelling, and
blocks of rows (measured: a million rows a second in constant memory; small statements in half the time of `/exec`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.components.questdb.login import PASSWORD, USER
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError
from thedata_cli.postgres_client.connection import PostgresConnection
from thedata_cli.postgres_client.server import PostgresServer

if TYPE_CHECKING:
    import psycopg


class QuestDBServer(PostgresServer):
    """QuestDB at its address."""

    product: ClassVar[str] = "QuestDB"
    component: ClassVar[str] = "questdb"
    port: ClassVar[str] = "postgres"
    user: ClassVar[str] = USER
    database: ClassVar[str] = "qdb"

    @property
    def password(self) -> str:
        """Of the one account."""
        return self.endpoint.secrets.get(PASSWORD, "")

    def prepare(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Decode times as aware: the server's are all UTC, and say so nowhere."""
        from datetime import UTC, datetime

        from psycopg.types.datetime import TimestampLoader

        class UtcLoader(TimestampLoader):
            def load(self, data: Any) -> datetime:
                return super().load(data).replace(tzinfo=UTC)

        connection.adapters.register_loader("timestamp", UtcLoader)

    def refused(self, reason: str) -> ServiceUnreachableError:
        """Tell a wrong password from nothing there and from another program."""
        if "invalid username/password" in reason or "authentication failed" in reason:
            return ServiceUnreachableError(
                f"QuestDB at {self.address} refuses the login of user `{USER}`",
                hint=f"is `secrets/{PASSWORD}` the password it was started with? "
                "`thedata down` and `thedata up` set it",
            )
        return super().refused(reason)


class Connection(PostgresConnection):
    """One connection for small statements."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._questdb = QuestDBServer(endpoint)
        super().__init__(self._questdb)

    async def server_version(self) -> str:
        """Return the version that the server reports.

        Raises:
            ServiceUnreachableError: What answers is not QuestDB.
        """
        try:
            build = str((await self.rows("SELECT build()"))[0][0])
        except StatementRejectedError as error:
            raise self._questdb.refused(error.message) from error
        match = re.search(r"QuestDB ([^\s,]+)", build)
        return match[1] if match else build
