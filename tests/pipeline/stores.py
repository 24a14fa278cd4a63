"""The stores that every delivery case runs on: how a test creates a table, reads it, and takes the store down."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from tests.pipeline.routes import READINGS
from tests.pipeline.services import Service
from thedata_cli.component_api.component import Component, ProjectView
from thedata_cli.component_api.declarations import Declaration, Declared
from thedata_cli.component_api.live import CanQuery
from thedata_cli.component_api.routes import Route
from thedata_cli.errors import SourcePosition

PROJECT = "pipeline-tests"


class Unwritten:
    """The document of a declaration that stands in no file."""

    file = Path("test.yaml")

    def position(self, path: Sequence[str | int] = ()) -> SourcePosition:  # noqa: ARG002
        return SourcePosition(self.file)


def declared(model: Declaration) -> Declared[Any]:
    return Declared(model, Unwritten())


async def create(
    component: Component, service: Service, models: Sequence[Declaration], routes: Sequence[Route]
) -> None:
    """Create what the models and routes need and what is not there yet."""
    view = ProjectView(PROJECT, [declared(model) for model in models], {READINGS.name: READINGS}, routes)
    kinds = {kind.name: kind for kind in component.kinds}
    connection = component.connect(service.endpoint, PROJECT)
    assert connection
    async with connection as live:
        present = {resource.id for resource in await live.observe()}
        for resource in await live.normalise(component.resources(view)):
            if resource.id not in present:
                for step in kinds[resource.id.kind].to_create(resource).steps:
                    await live.execute(step)


class StoreUnderTest(Protocol):
    """One store."""

    engine: str

    @property
    def where(self) -> Any:
        """What the worker process needs to connect."""

    async def create_table(self, route: Route) -> None: ...
    async def numbers(self, table: str) -> list[int]:
        """Return the column `number`, in no order."""

    def kill(self) -> None: ...
    def start(self) -> None: ...


class EngineUnderTest:
    """A real engine."""

    def __init__(self, component: Component, table: type[Declaration], service: Service) -> None:
        self.engine = component.key
        self._component = component
        self._table = table
        self._service = service

    @property
    def where(self) -> Any:
        endpoint = self._service.endpoint
        return {"host": endpoint.host, "ports": endpoint.ports, "secrets": endpoint.secrets}

    async def create_table(self, route: Route) -> None:
        model = self._table.model_validate(
            {"engine": self.engine, "name": route.target.name, "contract": READINGS.name}
            | ({"partition_by": "day"} if self.engine == "questdb" else {})
        )
        await create(self._component, self._service, [model], [route])

    async def numbers(self, table: str) -> list[int]:
        connection = self._component.connect(self._service.endpoint, PROJECT)
        assert connection
        async with connection as live:
            assert isinstance(live, CanQuery)
            async with live.query(f'SELECT number FROM "{table}"') as result:
                return [row[0] async for block in result.blocks() for row in block]

    def kill(self) -> None:
        self._service.kill()

    def start(self) -> None:
        self._service.start()


class SqliteUnderTest:
    """SQLite; it is down while its directory has another name."""

    engine = "sqlite"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir()

    @property
    def where(self) -> Any:
        return str(self._directory)

    async def create_table(self, route: Route) -> None:
        with closing(sqlite3.connect(self._directory / "store.db")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f'CREATE TABLE "{route.target.name}" (at, sensor, number, note, _sequence)')

    async def numbers(self, table: str) -> list[int]:
        with closing(sqlite3.connect(self._directory / "store.db", timeout=5)) as connection:
            return [number for (number,) in connection.execute(f'SELECT number FROM "{table}"')]

    def kill(self) -> None:
        self._directory.rename(self._directory.with_name("down"))

    def start(self) -> None:
        self._directory.with_name("down").rename(self._directory)
