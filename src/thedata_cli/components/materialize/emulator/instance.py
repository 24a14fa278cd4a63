"""One emulator: the backend, the catalog, the maintainer, and both listeners, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Any

import psycopg

from thedata_cli.components.materialize.emulator import EMULATED_VERSION
from thedata_cli.components.materialize.emulator.catalog import Catalog
from thedata_cli.components.materialize.emulator.errors import CANNOT_CONNECT, EmulatorError
from thedata_cli.components.materialize.emulator.ingest import Ingest
from thedata_cli.components.materialize.emulator.maintainer import Maintainer
from thedata_cli.components.materialize.emulator.pgwire.server import SqlServer
from thedata_cli.components.materialize.emulator.postgres import DATABASE, Postgres

_FORMAT = 2
_SQL = Path(__file__).parent / "sql"


@contextlib.asynccontextmanager
async def _connected(conninfo: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        yield connection


class Instance:
    """Everything of one data directory."""

    def __init__(self, data_dir: Path, log: Callable[[str], None]) -> None:
        self._data_dir = data_dir
        self._log = log
        self._postgres = Postgres(data_dir)
        self._stack = contextlib.AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []
        self._lock_file: IO[str] | None = None
        self.catalog = Catalog()
        self.maintainer: Maintainer
        self.ingest: Ingest
        self.sql: SqlServer

    async def start(self, http_url: str) -> None:
        """Start the backend and everything on it, but accept no client yet.

        Raises:
            EmulatorError: The directory is in use, or the backend does not start.
        """
        self._lock()
        await self._postgres.start()
        await self._prepare_database()
        maintaining = await self._connect()
        await maintaining.execute("UPDATE mz_emulator.instance SET http_url = %s", [http_url])
        await maintaining.execute("DELETE FROM mz_emulator.objects WHERE is_temporary")
        row = await (await maintaining.execute("SELECT frontier FROM mz_emulator.instance")).fetchone()
        await self.catalog.load(maintaining)
        self.maintainer = Maintainer(maintaining, self.catalog, row[0] if row else 0, self._log)
        for one in self.catalog.objects.values():
            if one.is_webhook:
                self.maintainer.note_webhook(one.id)
        self.ingest = Ingest(await self._connect(), self.maintainer, self._log)
        self.sql = SqlServer(self._postgres.socket_path, self.catalog, self.maintainer, self._log)
        await self.maintainer.tick()
        self._tasks = [asyncio.create_task(self.maintainer.run()), asyncio.create_task(self.ingest.run())]

    def _lock(self) -> None:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._lock_file = (self._data_dir / "lock").open("w")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise EmulatorError(CANNOT_CONNECT, f"another process has {self._data_dir} open") from error

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        connection = await psycopg.AsyncConnection.connect(
            self._postgres.conninfo(), autocommit=True, options="-c lock_timeout=5s", application_name="mz_emulator"
        )
        return await self._stack.enter_async_context(connection)

    async def _prepare_database(self) -> None:
        """Make the database, unless there is one that this version can read; another one is set aside."""
        async with self._maintenance() as connection:
            cursor = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if await cursor.fetchone() is None:
                await connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        found = await self._format()
        if found not in (None, _FORMAT):
            await self._set_aside(found)
        if found != _FORMAT:
            async with await psycopg.AsyncConnection.connect(self._postgres.conninfo()) as connection:
                await self._bootstrap(connection)

    def _maintenance(self) -> contextlib.AbstractAsyncContextManager[psycopg.AsyncConnection[Any]]:
        return _connected(self._postgres.conninfo(database="postgres"))

    async def _format(self) -> int | None:
        """Return the format of what is in the database; None when nothing is."""
        async with _connected(self._postgres.conninfo()) as connection:
            found = await (await connection.execute("SELECT to_regclass('mz_emulator.instance')::text")).fetchone()
            if not (found and found[0]):
                return None
            row = await (await connection.execute("SELECT format FROM mz_emulator.instance")).fetchone()
            return int(row[0]) if row else None

    async def _set_aside(self, found: int | None) -> None:
        """Give what this version cannot read another name: views can be made again, but rows of tables cannot."""
        aside = f"{DATABASE}_format_{found}"
        async with self._maintenance() as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {aside}".encode())
            await connection.execute(f"ALTER DATABASE {DATABASE} RENAME TO {aside}".encode())
            await connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        self._log(
            f"the data are of another version of the emulator (format {found}), and kept as database {aside}; "
            "`thedata apply` makes everything anew and fills it from the streams"
        )

    async def _bootstrap(self, connection: psycopg.AsyncConnection[Any]) -> None:
        for name in ("bootstrap.sql", "catalog.sql"):
            await connection.execute((_SQL / name).read_bytes())
        version = (
            f"PostgreSQL 18 behind the Materialize emulator of thedata, which emulates Materialize {EMULATED_VERSION}"
        )
        for function, text in (("version", version), ("mz_version", f"{EMULATED_VERSION} (thedata emulator)")):
            await connection.execute(
                f"CREATE FUNCTION mz_catalog.{function}() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT "
                f"'{text}' $$".encode()
            )
        await connection.execute("INSERT INTO mz_emulator.instance (format, frontier) VALUES (%s, 0)", [_FORMAT])

    async def failed(self) -> str:
        """Wait until something that must run has ended, and say what."""
        exited = asyncio.create_task(self._postgres.exited())
        done, _ = await asyncio.wait([exited, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        exited.cancel()
        return "PostgreSQL ended by itself" if exited in done else f"{done.pop()!r}"

    async def stop(self) -> None:
        """Stop everything; what was acknowledged is on disk."""
        if hasattr(self, "sql"):
            await self.sql.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(psycopg.Error):
            await self._stack.aclose()
        await self._postgres.stop()
