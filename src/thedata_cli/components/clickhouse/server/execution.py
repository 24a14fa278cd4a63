"""Running one statement on a connection: rows out of the engine, rows into it, or a plain command."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import Self

from thedata_cli.components.clickhouse.server.body import Body
from thedata_cli.components.clickhouse.server.engine import Connection, Engine, quote, quote_name
from thedata_cli.components.clickhouse.server.errors import ClickHouseError
from thedata_cli.components.clickhouse.server.external_tables import temporary_name
from thedata_cli.components.clickhouse.server.sessions import Lease
from thedata_cli.components.clickhouse.server.statement import Statement, split_input

_PIPE_BYTES = 1 << 20
_INSERT_PIECE_BYTES = 1 << 20
_CANCEL_AGAIN_S = 0.2


class _Pipe:
    """What the engine writes a result into, as into a file; reading it never blocks the event loop."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            # Refused when the user has many large pipes already; the usual size is only slower.
            with contextlib.suppress(PermissionError):
                fcntl.fcntl(self._write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
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
        loop.add_reader(self._read_end, readable.set_result, None)
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

    As an async context manager it leaves only when the engine has let go of the connection.
    """

    def __init__(self, lease: Lease, engine: Engine, marker: str) -> None:
        self._lease = lease
        self._engine = engine
        self._marker = marker
        self._pipe = _Pipe()
        self._run: asyncio.Future[dict[str, int]] | None = None
        self._cancelling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # The read end stays open until the writer is done: opening a pipe that nobody reads would block the engine.
        if self._run:
            if not self._run.done():
                self.cancel()
            while await self._pipe.read():
                pass
            await asyncio.wait([self._run])
        else:
            self._pipe.close_write_end()
        if self._cancelling:
            await self._cancelling
        self._pipe.close_read_end()

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
        while data := await self._pipe.read():
            yield data

    def _run_and_close(self, sql: bytes, parameters: Mapping[str, str]) -> dict[str, int]:
        started = time.monotonic_ns()
        try:
            result = self._lease.connection.run(sql, "TabSeparated", parameters)
        finally:
            self._pipe.close_write_end()
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


async def insert_rows(lease: Lease, statement: Statement, first: bytes, body: Body) -> tuple[int, int]:
    """Stream the rows behind an INSERT into the engine; nothing of a broken insert stays.

    Returns:
        The written rows and bytes.
    """
    return await _stream_rows(lease, statement.sql, statement.format or "", first, body)


async def insert_through_input(lease: Lease, statement: Statement, first: bytes, body: Body) -> tuple[int, int]:
    """INSERT … SELECT … FROM input(…): the engine has no such call for streams, so the rows go by a temporary table."""
    before, columns, after = split_input(statement.sql)
    name = quote_name(temporary_name())
    lease.on_release(f"DROP TEMPORARY TABLE IF EXISTS {name}")
    await lease.call(lease.connection.run, f"CREATE TEMPORARY TABLE {name} ({columns}) ENGINE = Memory")
    written = await _stream_rows(lease, f"INSERT INTO {name}".encode(), statement.format or "", first, body)
    await lease.call(lease.connection.run, before + name.encode() + after)
    return written


async def _stream_rows(lease: Lease, sql: bytes, input_format: str, first: bytes, body: Body) -> tuple[int, int]:
    insert = await lease.call(lease.connection.begin_insert, sql, input_format)
    try:
        if first:
            await lease.call(insert.append, first)
        async for piece in body.pieces(_INSERT_PIECE_BYTES):
            await lease.call(insert.append, piece)
        result = await lease.call(insert.finish)
    except BaseException:
        await asyncio.shield(lease.call(insert.cancel))
        raise
    return result.rows_written, result.bytes_written


def run_command(connection: Connection, statement: Statement, parameters: Mapping[str, str]) -> dict[str, int]:
    """Run a statement without a result and return its counts."""
    started = time.monotonic_ns()
    result = connection.run(statement.sql, "TabSeparated", parameters)
    return {
        "read_rows": result.storage_rows_read(),
        "read_bytes": result.storage_bytes_read(),
        "elapsed_ns": time.monotonic_ns() - started,
    }
