"""One query from its request to its response."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping

from thedata_cli.components.clickhouse.server.body import Body, ClientGoneError
from thedata_cli.components.clickhouse.server.engine import Engine, quote, quote_name
from thedata_cli.components.clickhouse.server.errors import READONLY, ClickHouseError, exception_trailer
from thedata_cli.components.clickhouse.server.execution import (
    InsertStream,
    ResultStream,
    result_types,
    run_command,
)
from thedata_cli.components.clickhouse.server.external_tables import (
    MAX_BODY_BYTES,
    ExternalTable,
    creation,
    is_multipart,
    parse_multipart,
    take_parts,
)
from thedata_cli.components.clickhouse.server.formats import content_type
from thedata_cli.components.clickhouse.server.native import NativeEncoder
from thedata_cli.components.clickhouse.server.request import Request
from thedata_cli.components.clickhouse.server.response import Response, summary_header
from thedata_cli.components.clickhouse.server.sessions import LOG_COMMENT, Lease, Sessions
from thedata_cli.components.clickhouse.server.statement import (
    Kind,
    Statement,
    UnfinishedError,
    split_input,
    split_statement,
)

_FIRST_LOOK_BYTES = 256 * 1024
_MAX_STATEMENT_BYTES = 64 << 20
_KILL_BY_ID = re.compile(rb"\s*KILL\s+QUERY\s+WHERE\s+query_id\s*=\s*'([^'\\]*)'(\s+(?:SYNC|ASYNC|TEST))?\s*", re.I)


class BrokenOffError(Exception):
    """The response has ended with an error inside it, and its connection must not be used again."""


class Query:
    """One query; the settings of its request hold for it alone."""

    def __init__(
        self, engine: Engine, request: Request, body: Body, response: Response, log: Callable[[str], None]
    ) -> None:
        self._engine = engine
        self._request = request
        self._body = body
        self._response = response
        self._log = log
        self.marker = f"[{uuid.uuid4()}]"

    async def run(self, sessions: Sessions, running: Mapping[str, Query]) -> None:
        """Read the statement, run it, and answer.

        Raises:
            ClickHouseError: It failed before the first byte of the answer left.
            BrokenOffError: It failed after that; the client has been told in the body.
            ClientGoneError: Nobody waits for the answer.
        """
        tables = await self._read_external_tables()
        statement, data = await read_statement(self._request, self._body)
        settings = self._request.settings([table.name for table in tables])
        settings[LOG_COMMENT] = settings.get(LOG_COMMENT, "") + self.marker
        # Read-only would forbid to make the tables, so it has to wait for them.
        late = {"readonly": settings.pop("readonly")} if tables and "readonly" in settings else {}
        lease = await sessions.lease(self._request.session(), settings, self._request.database)
        try:
            for table in tables:
                await self._create_table(table, _once(table.data), lease)
            if late:
                await lease.call(lease.prepare, late, "")
            if self._request.is_read_only:
                await self._refuse_writing(statement)
            await self._execute(_known_by_id(statement, running), data, lease)
        finally:
            await lease.release()

    async def _read_external_tables(self) -> list[ExternalTable]:
        if not is_multipart(self._request):
            return []
        form = await self._body.read_all(MAX_BODY_BYTES)
        return take_parts(self._request, parse_multipart(self._request.header("content-type"), form))

    async def _refuse_writing(self, statement: Statement) -> None:
        if not await asyncio.to_thread(self._engine.is_read_only, statement.sql):
            raise ClickHouseError(
                READONLY,
                "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
                "You should use method POST for modifying queries.",
            )

    async def _execute(self, statement: Statement, data: bytes, lease: Lease) -> None:
        if statement.kind is Kind.RESULT:
            counts = await self._stream_result(statement, lease)
        elif statement.kind is Kind.COMMAND:
            counts = await lease.call(run_command, lease.connection, statement, self._request.query_parameters)
        else:
            counts = await self._insert(statement, data, lease)
        self._response.set_header("X-ClickHouse-Summary", summary_header(counts))
        await lease.release()
        await self._response.finish()

    async def _create_table(self, table: ExternalTable, rows: AsyncIterator[bytes], lease: Lease) -> dict[str, int]:
        lease.on_release(f"DROP TEMPORARY TABLE IF EXISTS {quote_name(table.name)}")
        await lease.call(lease.connection.run, creation(table))
        insert = Statement(Kind.INSERT_DATA, f"INSERT INTO {quote_name(table.name)}".encode(), table.format)
        return await InsertStream(lease, self._engine, self.marker).run(insert, rows, {})

    async def _insert(self, statement: Statement, data: bytes, lease: Lease) -> dict[str, int]:
        rows = self._body.after(data)
        parameters = self._request.query_parameters
        if statement.kind is Kind.INSERT_DATA:
            return await InsertStream(lease, self._engine, self.marker).run(statement, rows, parameters)
        # The engine has no way to stream into input(…), so the rows go by a temporary table.
        before, structure, after = split_input(statement.sql)
        table = ExternalTable(f"_input_{uuid.uuid4().hex}", structure, statement.format or "", b"")
        counts = await self._create_table(table, rows, lease)
        insert = Statement(Kind.COMMAND, before + quote_name(table.name).encode() + after)
        await lease.call(run_command, lease.connection, insert, parameters)
        return counts

    async def _stream_result(self, statement: Statement, lease: Lease) -> dict[str, int]:
        output_format = statement.format or self._request.default_format
        parameters = self._request.query_parameters
        tag = uuid.uuid4().hex[:16]
        self._response.set_header("Content-Type", content_type(output_format))
        self._response.set_header("X-ClickHouse-Format", output_format)
        self._response.set_header("X-ClickHouse-Exception-Tag", tag)
        if output_format.lower() == "native" and self._request.client_revision:
            types = await lease.call(result_types, lease.connection, statement, parameters)
            self._response.rewrite(NativeEncoder(self._request.client_revision, types))
        try:
            async with ResultStream(lease, self._engine, self.marker) as stream:
                return await self._pass_on(stream, statement, output_format, parameters)
        except ClickHouseError as error:
            if not self._response.is_started:
                raise
            self._log(f"query {self._request.query_id}: code {error.code} {error.name} after its first bytes")
            await lease.release()
            await self._response.break_off(exception_trailer(error.text(self._engine.version), tag))
            raise BrokenOffError from error

    async def _pass_on(
        self, stream: ResultStream, statement: Statement, output_format: str, parameters: Mapping[str, str]
    ) -> dict[str, int]:
        """Send what the engine writes; when the client goes away, stop the engine."""
        watching = asyncio.ensure_future(self._cancel_on_disconnect(stream))
        try:
            async for chunk in stream.chunks(statement, output_format, parameters):
                if not watching.done():
                    await self._response.write(chunk)
            return await stream.outcome()
        except ClickHouseError as error:
            if watching.done():
                raise ClientGoneError from error
            raise
        finally:
            watching.cancel()

    async def _cancel_on_disconnect(self, stream: ResultStream) -> None:
        await self._body.wait_for_disconnect()
        stream.cancel()


async def read_statement(request: Request, body: Body) -> tuple[Statement, bytes]:
    """The statement of a request, and what has been read of the data behind it."""
    if request.query:
        in_url = _insert_in_url(request.query)
        if in_url:
            data = request.query[in_url.data_offset or 0 :]
            return in_url, data.rstrip(b"\n") + b"\n" if data.strip() else b""
    text = bytearray(request.query + b"\n" if request.query else b"")
    enough_bytes = 1
    while True:
        piece = await body.read()
        text += piece
        if piece and len(text) < enough_bytes:
            continue
        try:
            statement = split_statement(bytes(text), complete=not piece)
        except UnfinishedError:
            if len(text) > _MAX_STATEMENT_BYTES:
                await body.read_all(0)
            enough_bytes = max(_FIRST_LOOK_BYTES, 2 * len(text))
            continue
        return statement, b"" if statement.data_offset is None else bytes(text[statement.data_offset :])


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _insert_in_url(query: bytes) -> Statement | None:
    try:
        statement = split_statement(query, complete=True)
    except ClickHouseError:
        # The rest of the statement may be in the body.
        return None
    return None if statement.data_offset is None else statement


def _known_by_id(statement: Statement, running: Mapping[str, Query]) -> Statement:
    """KILL QUERY by the id that a client gave: the engine has ids of its own and knows ours by a marker."""
    found = _KILL_BY_ID.fullmatch(statement.sql)
    target = running.get(found[1].decode("utf-8", "surrogateescape")) if found else None
    if found is None or target is None:
        return statement
    condition = f"endsWith(Settings['log_comment'], {quote(target.marker)})".encode()
    sql = b"KILL QUERY WHERE " + condition + (found[2] or b"")
    return Statement(statement.kind, sql, statement.format, statement.settings_clause)
