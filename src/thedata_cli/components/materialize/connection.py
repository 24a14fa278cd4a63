"""The PostgreSQL connection to Materialize, with its errors told in the product's words."""

from __future__ import annotations

from typing import ClassVar

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.errors import StatementRejectedError
from thedata_cli.postgres_client.connection import PostgresConnection
from thedata_cli.postgres_client.server import PostgresServer, first_line


class MaterializeServer(PostgresServer):
    """Materialize at its address."""

    product: ClassVar[str] = "Materialize"
    component: ClassVar[str] = "materialize"
    port: ClassVar[str] = "sql"
    user: ClassVar[str] = "materialize"
    database: ClassVar[str] = "materialize"


class Connection(PostgresConnection):
    """One connection for small statements."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._materialize = MaterializeServer(endpoint)
        super().__init__(self._materialize)

    async def execute_secretly(self, sql: str, shown: str) -> None:
        """Run a statement of which no word may be told.

        Args:
            sql: What is sent.
            shown: What errors show in its place.

        Raises:
            ServiceUnreachableError: The server does not answer; what it did with the statement is unknown.
            StatementRejectedError: It refuses the statement.
        """
        try:
            await self.execute(sql, shown=shown)
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
            raise self._materialize.another_program(first_line(error.message)) from error
