"""Running one statement on a connection: rows out of the engine, rows into it, or a plain command."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from thedata_cli.components.clickhouse.server.body import Body
from thedata_cli.components.clickhouse.server.engine import Connection, Engine, quote
from thedata_cli.components.clickhouse.server.sessions import Lease
from thedata_cli.components.clickhouse.server.statement import Statement

_PIPE_BYTES = 1 << 20
_INSERT_PIECE_BYTES = 1 << 20
_CANCEL_AGAIN_S = 0.2


class _Pipe:
    """What the engine writes a result into, as into a file; reading it never blocks the event loop."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            try:
                fcntl.fcntl(self._write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            except PermissionError:
                # The user has many large pipes already; the usual size is only slower.
                pass
        self.path = f"/dev/fd/{self._write_end}"

    async def read(self) -> bytes:
        """The next piece; empty when every writer is done."""
        while True:
            try:
                return os.read(self._read_end, _PIPE_BYTES)
            except BlockingIOError:
                await self._wait_until_readable()

    async def _wait_until_readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = loop.create_future()
        loop.add_reader(self._read_end, lambda: readable.done() or readable.set_result(None))
        try:
            await readable
        finally:
            loop.remove_reader(self._read_end)

    def close_write_end(self) -> None:
        os.close(self._write_end)

    def close_read_end(self) -> None:
        os.close(self._read_end)


class ResultStream:
    """The bytes of a result as the engine makes them, in any format, with one header and one footer.

    The engine is told to write INTO OUTFILE, and the file is a pipe. Its streaming call would be the
    other way, but that one makes a whole document of every block, and nothing at all of an empty result.
    """

    def __init__(self, lease: Lease, engine: Engine, marker: str) -> None:
        self._lease = lease
        self._engine = engine
        self._marker = marker
        self._pipe = _Pipe()
        self._run: asyncio.Future[Any] | None = None
        self._cancelling: asyncio.Task[None] | None = None

    async def chunks(
        self, statement: Statement, output_format: str, parameters: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        """Run the statement and yield what it writes. A failure is raised by `outcome`, not here."""
        sql = b"%b\nINTO OUTFILE %b APPEND FORMAT %b %b" % (
            statement.sql,
            quote(self._pipe.path).encode(),
            (statement.format or output_format).encode(),
            statement.after_format,
        )
        self._run = asyncio.ensure_future(self._lease.call(self._run_and_close, sql, parameters))
        # The read end stays open until the writer is done: opening a pipe that nobody reads would block the engine.
        try:
            while data := await self._pipe.read():
                yield data
        finally:
            await self._drain()

    def _run_and_close(self, sql: bytes, parameters: Mapping[str, str]) -> Any:
        try:
            return self._lease.connection.run(sql, "TabSeparated", parameters)
        finally:
            self._pipe.close_write_end()

    async def _drain(self) -> None:
        while await self._pipe.read():
            pass
        self._pipe.close_read_end()

    async def outcome(self) -> Any:
        """The engine's counts, once `chunks` has ended.

        Raises:
            ClickHouseError: The statement failed, before or after its first bytes.
        """
        assert self._run is not None, "chunks() starts the run"
        try:
            return await self._run
        finally:
            if self._cancelling:
                self._cancelling.cancel()

    def cancel(self) -> None:
        """Make the engine stop, also when the query is only about to begin."""
        if self._cancelling is None:
            self._cancelling = asyncio.ensure_future(self._cancel_until_done())

    async def _cancel_until_done(self) -> None:
        while self._run is None or not self._run.done():
            await asyncio.to_thread(self._engine.cancel, self._marker)
            await asyncio.sleep(_CANCEL_AGAIN_S)


async def insert_rows(lease: Lease, statement: Statement, first: bytes, body: Body) -> Any:
    """Stream the rows behind an INSERT into the engine; nothing of a broken insert stays.

    Returns:
        chDB's counts: `rows_written`, `bytes_written`.
    """
    insert = await lease.call(
        lease.connection.begin_insert, statement.sql.decode("utf-8", "surrogateescape"), statement.format
    )
    try:
        if first:
            await lease.call(insert.append, first)
        async for piece in body.pieces(_INSERT_PIECE_BYTES):
            await lease.call(insert.append, piece)
        return await lease.call(insert.finish)
    except BaseException:
        await asyncio.shield(lease.call(insert.cancel))
        raise


def run_command(connection: Connection, statement: Statement, parameters: Mapping[str, str]) -> dict[str, int]:
    """Run a statement without a result and return its counts."""
    started = time.monotonic_ns()
    result = connection.run(statement.sql, "TabSeparated", parameters)
    return {
        "read_rows": result.storage_rows_read(),
        "read_bytes": result.storage_bytes_read(),
        "elapsed_ns": time.monotonic_ns() - started,
    }
