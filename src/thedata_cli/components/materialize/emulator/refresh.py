"""Computes the materialized views that a tick touches, and keeps one that fails from stopping the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg

from thedata_cli.components.materialize.emulator import storage
from thedata_cli.components.materialize.emulator.catalog import Catalog, CatalogObject

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_TIME_INTERVAL_S = 0.5
_TIME_SHARE = 10


class Refresher:
    """The part of a tick that computes views."""

    def __init__(self, connection: AsyncConnection[Any], catalog: Catalog, log: Callable[[str], None]) -> None:
        self._connection = connection
        self._catalog = catalog
        self._log = log
        self._next_by_time: dict[str, float] = {}
        self._catalog_changed = False
        self.recompute_next: set[str] = set()

    def is_due(self) -> bool:
        """Whether a view must be computed although nothing that it reads changed."""
        return bool(self.recompute_next) or any(self._is_view_due(one) for one in self._catalog.materialized_views())

    def _is_view_due(self, view: CatalogObject) -> bool:
        return bool(view.definition.get("reads_time")) and time.monotonic() >= self._next_by_time.get(view.id, 0.0)

    def take_catalog_change(self) -> bool:
        """Whether an error of a view came or went since the last call."""
        changed, self._catalog_changed = self._catalog_changed, False
        return changed

    async def refresh(self, after: int, timestamp: int, changed: set[str]) -> None:
        """Compute what reads a changed object, in order; adds what changed thereby to `changed`."""
        for view in self._catalog.materialized_views():
            is_asked_for = view.id in self.recompute_next
            if is_asked_for or changed & self._catalog.collections_below(view.id) or self._is_view_due(view):
                started = time.monotonic()
                if await self._refresh_view(view, after, timestamp, changed):
                    changed.add(view.id)
                self.recompute_next.discard(view.id)
                spent = time.monotonic() - started
                self._next_by_time[view.id] = time.monotonic() + max(_TIME_INTERVAL_S, _TIME_SHARE * spent)

    async def _refresh_view(self, view: CatalogObject, after: int, timestamp: int, changed: set[str]) -> bool:  # noqa: ARG002
        try:
            async with self._connection.transaction():
                cursor = await self._connection.execute(storage.recompute(view, timestamp))
                if cursor.rowcount:
                    remove, add = storage.apply_log(view, timestamp)
                    await self._connection.execute(remove)
                    await self._connection.execute(add)
                if view.error is not None:
                    await self._recover(view)
        except psycopg.Error as error:
            return await self._poison(view, error)
        return bool(cursor.rowcount) or view.error is not None

    async def _recover(self, view: CatalogObject) -> None:
        if not view.is_temporary:
            for sql in storage.publish_view(view.id, view.qualified, view.columns):
                await self._connection.execute(sql)
        await self._connection.execute("UPDATE mz_emulator.objects SET error = NULL WHERE id = %s", [view.id])
        self._catalog_changed = True
        self._log(f"materialized view {view.full_name} can be computed again")

    async def _poison(self, view: CatalogObject, error: psycopg.Error) -> bool:
        message = f"Evaluation error: {error.diag.message_primary or error}".replace("Evaluation error: Evaluation error", "Evaluation error")
        if view.error == message:
            return False
        if not view.is_temporary:
            sql = storage.poison_view(view.id, view.qualified, view.columns, message, error.sqlstate or "XX000")
            await self._connection.execute(sql)
        await self._connection.execute("UPDATE mz_emulator.objects SET error = %s WHERE id = %s", [message, view.id])
        self._catalog_changed = True
        self._log(f"materialized view {view.full_name} cannot be computed: {message}")
        return True
