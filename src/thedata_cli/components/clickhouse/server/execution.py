"""Running one statement on a connection: rows out of the engine, rows into it, or a plain command."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Self

from thedata_cli.components.clickhouse.server.engine import Connection, Engine, quote
from thedata_cli.components.clickhouse.server.errors import ClickHouseError
from thedata_cli.components.clickhouse.server.sessions import Lease
from thedata_cli.components.clickhouse.server.statement import Statement

_PIPE_BYTES = 1 << 20
_CANCEL_AGAIN_S = 0.2


class _Pipe:
    """What the engine takes for a file; this end of it never blocks the event loop."""

    def __init__(self, *, is_read_here: bool) -> None:
        read_end, write_end = os.pipe()
        self._own_end, self._engine_end = (read_end, write_end) if is_read_here else (write_end, read_end)
        os.set_blocking(self._own_end, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            # Refused when the user has many large pipes already; the usual size is only slower.
            with contextlib.suppress(PermissionError):
                fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.path = quote(f"/dev/fd/{self._engine_end}").encode()

    async def read(self) -> bytes:
        """The next piece; empty when every writer is done."""
        while True:
            try:
                return os.read(self._own_end, _PIPE_BYTES)
            except BlockingIOError:
                await self._wait(asyncio.get_running_loop().add_reader, asyncio.get_running_loop().remove_reader)

    async def write(self, data: bytes) -> None:
        """Hand over all of it.

        Raises:
            BrokenPipeError: The engine reads no more.
        """
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._own_end, rest) :]
            except BlockingIOError:
                await self._wait(asyncio.get_running_loop().add_writer, asyncio.get_running_loop().remove_writer)

    async def _wait(self, watch: Callable[..., object], unwatch: Callable[[int], object]) -> None:
        ready = asyncio.Event()
        watch(self._own_end, ready.set)
        try:
            await ready.wait()
        finally:
            unwatch(self._own_end)

    def close_own_end(self) -> None:
        os.close(self._own_end)

    def close_engine_end(self) -> None:
        os.close(self._engine_end)


class ResultStream:
    """The bytes of a result as the engine makes them, in any format, with one header and one footer.

    The engine is told to write INTO OUTFILE, and the file is a pipe. Its streaming call would be the
    other way, but that one makes a whole document of every block, and nothing at all of an empty result.

    As an async context manager it leaves only when the engine has let go of the connection.
    """

    def __init__(self, lease: Lease, engine: Engine, marker: str) -> None:
        self._lease = lease
        self._engine = engine
        self._marker = marker
        self._pipe = _Pipe(is_read_here=True)
        self._run: asyncio.Future[dict[str, int]] | None = None
        self._cancelling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Read on until the engine is done: a closed pipe would make it fail with an error that hides the real one.
        if self._run:
            if not self._run.done():
                self.cancel()
            while await self._pipe.read():
                pass
            await asyncio.wait([self._run])
        else:
            self._pipe.close_engine_end()
        if self._cancelling:
            await self._cancelling
        self._pipe.close_own_end()

    async def chunks(
        self, statement: Statement, output_format: str, parameters: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        """Run the statement and yield what it writes. A failure is raised by `outcome`, not here."""
        sql = b"%b\nINTO OUTFILE %b APPEND FORMAT %b %b" % (
            statement.sql,
            self._pipe.path,
            (statement.format or output_format).encode(),
            statement.settings_clause,
        )
        self._run = asyncio.ensure_future(self._lease.call(self._run_and_close, sql, parameters))
        while data := await self._pipe.read():
            yield data

    def _run_and_close(self, sql: bytes, parameters: Mapping[str, str]) -> dict[str, int]:
        started = time.monotonic_ns()
        try:
            result = self._lease.connection.run(sql, "TabSeparated", parameters)
        finally:
            self._pipe.close_engine_end()
        return {
            "read_rows": result.storage_rows_read(),
            "read_bytes": result.storage_bytes_read(),
            "result_rows": result.rows_read(),
            "result_bytes": result.bytes_read(),
            "elapsed_ns": time.monotonic_ns() - started,
        }

    async def outcome(self) -> dict[str, int]:
        """The engine's counts, once `chunks` has ended.

        Raises:
            ClickHouseError: The statement failed, before or after its first bytes.
        """
        assert self._run is not None, "chunks() starts the run"
        return await self._run

    def cancel(self) -> None:
        """Make the engine stop, also when the query is only about to begin."""
        if self._cancelling is None:
            self._cancelling = asyncio.ensure_future(self._cancel_until_done())

    async def _cancel_until_done(self) -> None:
        while self._run and not self._run.done():
            await asyncio.to_thread(self._engine.cancel, self._marker)
            await asyncio.wait([self._run], timeout=_CANCEL_AGAIN_S)


def result_types(connection: Connection, statement: Statement, parameters: Mapping[str, str]) -> list[str]:
    """The types of a result's columns with their time zones, which a plain Native block does not tell.

    Empty when the statement is not a SELECT, or is wrong: then it will say so itself.
    """
    try:
        described = connection.run(b"DESCRIBE (%b)" % statement.sql, "JSONCompactEachRow", parameters)
    except ClickHouseError:
        return []
    return [json.loads(line)[1] for line in described.bytes().splitlines()]


class InsertStream:
    """Rows into the engine while they arrive, in any format.

    The engine is told to read FROM INFILE, and the file is a pipe. Its streaming call would be the other
    way, but that one reports success when the table refuses the rows: a violated constraint, a failing
    materialized view, too many partitions.
    """

    def __init__(self, lease: Lease, engine: Engine, marker: str) -> None:
        self._lease = lease
        self._engine = engine
        self._marker = marker

    async def run(
        self, statement: Statement, rows: AsyncIterator[bytes], parameters: Mapping[str, str]
    ) -> dict[str, int]:
        """Insert all of `rows` and return the engine's counts.

        When `rows` raises, the insert is cancelled first: the block under way is not written.

        Raises:
            ClickHouseError: The rows are malformed, or the table refuses them.
        """
        pipe = _Pipe(is_read_here=False)
        running = asyncio.ensure_future(self._lease.call(self._run_and_close, pipe, statement, parameters))
        try:
            # Broken when the engine has given up; it says why when it is asked for the outcome.
            with contextlib.suppress(BrokenPipeError):
                async for data in rows:
                    await pipe.write(data)
        except BaseException:
            # The end of the pipe would look like the end of the rows, so the engine has to know before.
            while not running.done() and not await asyncio.to_thread(self._engine.cancel, self._marker):
                await asyncio.wait([running], timeout=_CANCEL_AGAIN_S)
            raise
        finally:
            pipe.close_own_end()
            await asyncio.wait([running])
        return running.result()

    def _run_and_close(self, pipe: _Pipe, statement: Statement, parameters: Mapping[str, str]) -> dict[str, int]:
        started = time.monotonic_ns()
        sql = b"%b FROM INFILE %b COMPRESSION 'none' %b FORMAT %b" % (
            statement.sql,
            pipe.path,
            statement.settings_clause,
            (statement.format or "").encode(),
        )
        try:
            result = self._lease.connection.run(sql, "TabSeparated", parameters)
        finally:
            pipe.close_engine_end()
        return {
            "written_rows": result.rows_written(),
            "written_bytes": result.bytes_written(),
            "elapsed_ns": time.monotonic_ns() - started,
        }


def run_command(connection: Connection, statement: Statement, parameters: Mapping[str, str]) -> dict[str, int]:
    """Run a statement without a result and return its counts."""
    started = time.monotonic_ns()
    result = connection.run(statement.sql, "TabSeparated", parameters)
    return {
        "read_rows": result.storage_rows_read(),
        "read_bytes": result.storage_bytes_read(),
        "written_rows": result.rows_written(),
        "written_bytes": result.bytes_written(),
        "elapsed_ns": time.monotonic_ns() - started,
    }
