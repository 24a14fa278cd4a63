"""A connected Materialize: observes and changes objects, runs queries, and is examined."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import ResultStream, TableWriter
from thedata_cli.component_api.routes import Route
from thedata_cli.component_api.views import Subscription
from thedata_cli.components.materialize.checks import check_secrets, check_server
from thedata_cli.components.materialize.connection import Connection
from thedata_cli.components.materialize.observed import as_live, read_objects
from thedata_cli.components.materialize.query import run_query
from thedata_cli.components.materialize.secret_values import with_digests, with_value
from thedata_cli.components.materialize.view_checks import view_checks
from thedata_cli.errors import InvalidProjectError, Problem, SourcePosition, StatementRejectedError
from thedata_cli.health import CheckResult
from thedata_cli.plan.changes import Step
from thedata_cli.plan.resources import Resource, ResourceId


@asynccontextmanager
async def connect(endpoint: Endpoint, project: str, *, wanted_version: str) -> AsyncIterator[MaterializeLive]:
    """Connect, and close at the end.

    Raises:
        ServiceUnreachableError: On entering, when Materialize does not answer.
    """
    connection = Connection(endpoint)
    try:
        await connection.server_version()
        yield MaterializeLive(endpoint, connection, project, wanted_version)
    finally:
        await connection.close()


class MaterializeLive:
    """An open connection (`LiveComponent`, `CanQuery`, `CanWrite`, `CanSubscribe`)."""

    def __init__(self, endpoint: Endpoint, connection: Connection, project: str, wanted_version: str) -> None:
        self._endpoint = endpoint
        self._connection = connection
        self._project = project
        self._wanted_version = wanted_version
        self._written_at: dict[str, SourcePosition] = {}

    async def version(self) -> str:
        """Return the version the server reports; the emulator says that it is one."""
        return await self._connection.server_version()

    async def observe(self) -> Sequence[Resource]:
        """Return every cluster, and every object of the schema `public`, foreign ones included."""
        return await read_objects(self._connection, self._project)

    async def normalise(self, desired: Sequence[Resource]) -> Sequence[Resource]:
        """Return the declared objects with the server's spelling of those that have not changed.

        Raises:
            InvalidProjectError: Objects need some that the project no longer declares, a secret has no value, or the
                server refuses the query of a view.
        """
        desired = with_digests(desired, self._endpoint.secrets, self._project)
        self._written_at = {one.statement: one.position for one in desired if one.position}
        observed = await self.observe()
        normalised = as_live(desired, observed, self._project)
        problems = [problem async for problem in self._refused_views(desired, observed)]
        if problems:
            raise InvalidProjectError(problems)
        return normalised

    async def _refused_views(self, desired: Sequence[Resource], observed: Sequence[Resource]) -> AsyncIterator[Problem]:
        refused: set[ResourceId] = set()
        for check in view_checks(desired, observed):
            if not refused.isdisjoint(check.resource.depends_on):
                refused.add(check.resource.id)
                continue
            try:
                await self._connection.rows(check.sql)
            except StatementRejectedError as error:
                refused.add(check.resource.id)
                if problem := check.problem(error):
                    yield problem

    async def execute(self, step: Step) -> None:
        """Run one statement.

        Raises:
            StatementRejectedError: The server refuses it; where it stands in a file of the project, with file and line.
        """
        secret = with_value(step.call, self._endpoint.secrets)
        try:
            if secret is None:
                await self._connection.execute(step.call)
            else:
                await self._connection.execute_secretly(secret, step.call)
        except StatementRejectedError as error:
            begin = self._written_at.get(step.call)
            if begin is None:
                raise
            raise StatementRejectedError(
                f"{_place_in_file(begin, error)}: {error.message}",
                hint=error.hint, detail=error.detail, line=error.line, column=error.column,
            ) from error  # fmt: skip

    async def check(self) -> Sequence[CheckResult]:
        """Return the doctor's findings."""
        return [
            *await check_server(self._connection, self._wanted_version),
            *await check_secrets(self._connection, self._project, self._endpoint.secrets),
        ]

    def query(self, sql: str) -> AbstractAsyncContextManager[ResultStream]:
        """Run one statement on a connection of its own."""
        return run_query(self._endpoint, sql)

    def open_writer(self, route: Route) -> AbstractAsyncContextManager[TableWriter]:
        """Open a writer for the source of a route."""
        from thedata_cli.components.materialize.webhook_writer import open_writer

        return open_writer(self._endpoint, self._connection, route)

    def subscribe(
        self, view: str, *, key: Sequence[str] = (), has_snapshot: bool = True
    ) -> AbstractAsyncContextManager[Subscription]:
        """Follow a view on a connection of its own."""
        from thedata_cli.components.materialize.subscribing import subscribe

        return subscribe(self._endpoint, view, key, has_snapshot=has_snapshot)


def _place_in_file(begin: SourcePosition, error: StatementRejectedError) -> SourcePosition:
    """Return where in the file the place inside the statement is; the statement's when the server names none."""
    if not error.line:
        return begin
    column = error.column + begin.column - 1 if error.line == 1 else error.column
    return SourcePosition(begin.file, begin.line + error.line - 1, column)
