"""A store for the cases that need no engine: SQLite behind the protocols that engines implement.

Every case that runs on it runs on QuestDB and ClickHouse too.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec

from thedata_cli.component_api.live import Batch, RejectedRow
from thedata_cli.component_api.routes import Route
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError
from thedata_cli.health import CheckResult
from thedata_cli.plan.changes import Step
from thedata_cli.plan.resources import Resource

UNWELCOME = 2**40
"""The store refuses rows whose number is above this, as an engine refuses what does not fit its type."""


@asynccontextmanager
async def connect(directory: Path) -> AsyncIterator[SqliteStore]:
    """Connect; the store is down while its directory is missing."""
    if not directory.exists():
        raise ServiceUnreachableError(f"{directory} is not there", hint="create it")
    with closing(sqlite3.connect(directory / "store.db", timeout=5)) as connection:
        yield SqliteStore(directory, connection)


class SqliteStore:
    """`LiveComponent` and `CanWrite`."""

    def __init__(self, directory: Path, connection: sqlite3.Connection) -> None:
        self._directory = directory
        self._connection = connection

    async def version(self) -> str:
        return sqlite3.sqlite_version

    async def normalise(self, desired: Sequence[Resource]) -> Sequence[Resource]:
        return desired

    async def observe(self) -> Sequence[Resource]:
        return ()

    async def execute(self, step: Step) -> None:
        self._connection.execute(step.call)

    async def check(self) -> Sequence[CheckResult]:
        return ()

    @asynccontextmanager
    async def open_writer(self, route: Route) -> AsyncIterator[SqliteWriter]:
        yield SqliteWriter(self._directory, self._connection, route.target.name)


class SqliteWriter:
    """`TableWriter`."""

    def __init__(self, directory: Path, connection: sqlite3.Connection, table: str) -> None:
        self._directory = directory
        self._connection = connection
        self._table = table

    async def highest_sequence(self) -> int:
        try:
            row = self._connection.execute(f'SELECT max(_sequence) FROM "{self._table}"').fetchone()
        except sqlite3.OperationalError as error:
            raise StatementRejectedError(f"SQLite: {error}") from error
        return int(row[0] or 0)

    async def write(self, batch: Batch) -> Sequence[RejectedRow]:
        if not self._directory.exists():
            raise ServiceUnreachableError(f"{self._directory} is not there", hint="create it")
        # An engine takes a while, and the worker fetches its next batch meanwhile.
        await asyncio.sleep(0.02)
        rows, rejected = [], []
        for row in batch.rows:
            at, sensor, number, note, sequence = msgspec.structs.astuple(row)
            if number > UNWELCOME:
                rejected.append(RejectedRow(sequence, f"number {number} does not fit"))
            else:
                rows.append((at.isoformat(), sensor, number, note, sequence))
        present = self._present(batch.may_be_present)
        with self._connection:
            self._connection.executemany(
                f'INSERT INTO "{self._table}" VALUES (?, ?, ?, ?, ?)', [row for row in rows if row[-1] not in present]
            )
        return rejected

    def _present(self, sequences: Sequence[int]) -> set[int]:
        marks = ",".join("?" * len(sequences))
        found = self._connection.execute(
            f'SELECT _sequence FROM "{self._table}" WHERE _sequence IN ({marks})', tuple(sequences)
        )
        return {sequence for (sequence,) in found}
