"""Writes the rows of webhook requests: many requests in one commit, each of them whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from thedata_cli.components.materialize.emulator.catalog import CatalogObject
from thedata_cli.components.materialize.emulator.errors import describe
from thedata_cli.components.materialize.emulator.maintainer import Maintainer
from thedata_cli.components.materialize.emulator.webhook_body import BodyError, as_hstore

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_MOST_BYTES_AT_ONCE = 16 << 20


@dataclass
class Request:
    """One request whose body is read.

    Attributes:
        rows: Its rows as COPY lines without their timestamp, or None when CHECK comes first.
        read: Makes the rows; what it raises refuses the request.
    """

    source: CatalogObject
    headers: Mapping[str, str]
    body: bytes
    read: Callable[[], list[bytes]]
    done: asyncio.Future[None]
    rows: list[bytes] | None = None


class Ingest:
    """The only writer of webhook sources."""

    def __init__(self, connection: AsyncConnection[Any], maintainer: Maintainer, log: Callable[[str], None]) -> None:
        self._connection = connection
        self._maintainer = maintainer
        self._log = log
        self._waiting: list[Request] = []
        self._arrived = asyncio.Event()

    async def append(self, request: Request) -> None:
        """Write one request, and return when it is on disk.

        Raises:
            BodyError: It was refused.
        """
        self._waiting.append(request)
        self._arrived.set()
        await request.done

    async def run(self) -> None:
        """Write what arrives, as long as the process lives."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                requests = self._take()
                try:
                    await self._write_all(requests)
                except Exception as error:
                    self._log(f"a webhook write failed: {describe(error)}")
                    for one in requests:
                        _refuse(one, BodyError(500, f"internal failure: {type(error).__name__}"))

    def _take(self) -> list[Request]:
        taken, size = [], 0
        while self._waiting and size < _MOST_BYTES_AT_ONCE:
            taken.append(self._waiting.pop(0))
            size += len(taken[-1].body)
        return taken

    async def _write_all(self, requests: list[Request]) -> None:
        accepted = []
        for one in requests:
            try:
                if one.source.definition["check"]:
                    await self._check(one)
                one.rows = one.read()
                accepted.append(one)
            except BodyError as error:
                _refuse(one, error)
        by_source: dict[str, list[Request]] = {}
        for one in accepted:
            by_source.setdefault(one.source.id, []).append(one)
        for group in by_source.values():
            await self._write_group(group)

    async def _check(self, request: Request) -> None:
        sql = f"SELECT {request.source.stored_as('_check')}(%b, %s::mz_catalog.hstore)".encode()
        try:
            cursor = await self._connection.execute(sql, [request.body, as_hstore(request.headers)])
            row = await cursor.fetchone()
        except psycopg.errors.UndefinedFunction as error:
            raise _unknown(request.source) from error
        except psycopg.Error as error:
            raise BodyError(400, "error occurred while running validation") from error
        if not (row and row[0]):
            raise BodyError(400, "failed to validate the request")

    async def _write_group(self, group: list[Request]) -> None:
        try:
            await self._write(group)
        except psycopg.errors.UndefinedTable:
            for one in group:
                _refuse(one, _unknown(one.source))
        except psycopg.Error as error:
            if len(group) == 1:
                message = error.diag.message_primary or str(error)
                _refuse(group[0], BodyError(400, f"failed to deserialize body as Jsonb: {message}"))
                return
            # One of them cannot be stored; the others must not suffer from it.
            for one in group:
                await self._write_group([one])

    async def _write(self, group: list[Request]) -> None:
        source = group[0].source
        rows = [row for one in group for row in one.rows or ()]
        async with self._maintainer.webhook_lock:
            stamp = f"{self._maintainer.clock.next()}\t".encode()
            async with self._connection.transaction():
                if rows:
                    async with self._connection.cursor().copy(f"COPY {source.stored_as()} FROM STDIN".encode()) as copy:
                        await copy.write(b"".join([stamp + row + b"\n" for row in rows]))
                await self._connection.execute(_RECEIVED, [source.id, len(group), sum(len(one.body) for one in group)])
            self._maintainer.note_webhook(source.id)
        for one in group:
            if not one.done.done():
                one.done.set_result(None)


def _unknown(source: CatalogObject) -> BodyError:
    return BodyError(404, f"no object was found at the path \"'{source.full_name}'\"")


def _refuse(request: Request, error: BodyError) -> None:
    if not request.done.done():
        request.done.set_exception(error)


_RECEIVED = """
INSERT INTO mz_emulator.received VALUES (%s, %s, %s)
ON CONFLICT (id) DO UPDATE SET messages = received.messages + excluded.messages, bytes = received.bytes + excluded.bytes
"""
