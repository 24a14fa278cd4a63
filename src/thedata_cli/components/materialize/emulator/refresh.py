"""Computes the materialized views that a tick touches, and keeps one that fails from stopping the others."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import psycopg

from thedata_cli.components.materialize.emulator import storage
from thedata_cli.components.materialize.emulator.catalog import Catalog, CatalogObject
from thedata_cli.components.materialize.emulator.errors import INTERNAL_ERROR, EmulatorError
from thedata_cli.components.materialize.emulator.incremental.temporal_rows import (
    TemporalRows,
    are_kept,
    drop_tables,
    make_tables,
)

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from thedata_cli.components.materialize.emulator.incremental.plan import Plan

_TIME_INTERVAL_S = 0.5
_TIME_SHARE = 10


class Refresher:
    """The part of a tick that computes views."""

    def __init__(self, connection: AsyncConnection[Any], catalog: Catalog, log: Callable[[str], None]) -> None:
        self._connection = connection
        self._catalog = catalog
        self._log = log
        self._next_by_time: dict[str, float] = {}
        self.catalog_changed = False
        """Whether an error of a view came or went that the catalog does not show yet."""
        self.recompute_next: set[str] = set()
        self._plans: dict[str, Plan | None] = {}
        self._faults = {
            one.id: EmulatorError(one.error_code or INTERNAL_ERROR, one.error, one.error_detail)
            for one in catalog.objects.values()
            if one.error is not None
        }

    def due_in_s(self) -> float:
        """Return how long it is until a view must be computed although nothing that it reads changed."""
        if self.recompute_next:
            return 0.0
        return min((self._view_due_in_s(one) for one in self._catalog.materialized_views()), default=math.inf)

    def _view_due_in_s(self, view: CatalogObject) -> float:
        if not view.definition.get("reads_time"):
            return math.inf
        rest = self._next_by_time.get(view.id, 0.0) - time.monotonic()
        plan = self._plans.get(view.id)
        if plan is not None and not plan.reads_time:
            moments = [one.next_ms for one in plan.temporal if one.next_ms is not None]
            rest = max(rest, min(moments) / 1000 - time.time() if moments else math.inf)
        return max(0.0, rest)

    async def refresh(self, after: int, timestamp: int, changed: set[str]) -> None:
        """Compute what reads a changed object, in order; adds what changed thereby to `changed`."""
        self._faults = {key: fault for key, fault in self._faults.items() if key in self._catalog.objects}
        for view in self._catalog.materialized_views():
            is_asked_for = view.id in self.recompute_next
            is_due = self._view_due_in_s(view) == 0
            if is_asked_for or is_due or changed & self._catalog.collections_below(view.id):
                started, is_new = time.monotonic(), view.id not in self._plans
                if await self._refresh_view(view, after, timestamp, changed):
                    changed.add(view.id)
                self.recompute_next.discard(view.id)
                # What it takes to begin says nothing about the next time.
                spent = 0.0 if is_new else time.monotonic() - started
                self._next_by_time[view.id] = time.monotonic() + max(_TIME_INTERVAL_S, _TIME_SHARE * spent)

    async def _refresh_view(self, view: CatalogObject, after: int, timestamp: int, changed: set[str]) -> bool:
        below = self._catalog.collections_below(view.id)
        inherited = next((self._faults[one] for one in below if one in self._faults), None)
        if inherited is not None:
            return await self._poison(view, inherited)
        if view.error is not None and self._is_hopeless(view):
            return False
        try:
            async with self._connection.transaction():
                logged = await self._log_changes(view, after, timestamp, changed)
                if logged:
                    remove, add = storage.apply_log(view, timestamp)
                    await self._connection.execute(remove)
                    await self._connection.execute(add)
                if view.error is not None:
                    await self._recover(view)
        except psycopg.Error as error:
            fault = evaluation_error(error)
            if view.error != fault.message and not fault.detail:
                fault.detail = await self._offender(view, error, after, timestamp)
            return await self._poison(view, fault)
        return logged or view.error is not None

    def _is_hopeless(self, view: CatalogObject) -> bool:
        """Whether what a view fails on cannot go: nothing is ever removed from webhook sources."""
        below = [self._catalog.objects[one] for one in self._catalog.collections_below(view.id)]
        is_asked_for = view.id in self.recompute_next or self._view_due_in_s(view) == 0
        return not is_asked_for and all(one.is_webhook for one in below)

    async def _log_changes(self, view: CatalogObject, after: int, timestamp: int, changed: set[str]) -> bool:
        if view.error is None:
            is_new = view.id not in self._plans
            plan = await self._plan_of(view)
            if plan is not None:
                begin = self._begin(plan, after, timestamp) if is_new else self._follow(plan, after, timestamp, changed)
                logged = await self._try(begin, view)
                if logged is not None:
                    return logged
        return await self._run([storage.recompute(view, timestamp)])

    async def _plan_of(self, view: CatalogObject) -> Plan | None:
        if view.id not in self._plans:
            # Reading SQL needs a library that takes a moment to load: not before there is a view to maintain.
            from thedata_cli.components.materialize.emulator.incremental.planning import make_plan

            self._plans[view.id] = await make_plan(self._connection, self._catalog, view)
            if self._plans[view.id] is None:
                await drop_tables(self._connection, view.id)
        return self._plans[view.id]

    async def _begin(self, plan: Plan, after: int, timestamp: int) -> bool:
        """Make what a plan keeps, and log what the view has to change to be what is kept."""
        # A source may have grown for months: what was chosen of it before a restart is not to be sought in it again.
        is_kept = await are_kept(self._connection, plan.view.id, plan.temporal)
        if not is_kept:
            await make_tables(self._connection, plan.view.id, plan.temporal)
        for rows in plan.temporal:
            await self._run(rows.advance(after, timestamp) if is_kept else rows.fill(timestamp))
            await self._note(rows)
        await self._run(plan.indexes)
        return await self._compute(plan, timestamp)

    async def _follow(self, plan: Plan, after: int, timestamp: int, changed: set[str]) -> bool:
        moved = changed & plan.read()
        for rows in plan.temporal:
            if rows.of.id in changed or (rows.next_ms is not None and rows.next_ms <= timestamp):
                await self._run(rows.advance(after, timestamp))
                if await self._note(rows):
                    moved.add(rows.object.id)
        if not moved and not plan.reads_time:
            return False
        sql = plan.delta(frozenset(moved), after, timestamp)
        return await self._run([sql]) if sql else await self._compute(plan, timestamp)

    async def _compute(self, plan: Plan, timestamp: int) -> bool:
        # By what the plan keeps, since what it will take away later is what it keeps now.
        return await self._run([*plan.rebuild(), storage.recompute(plan.view, timestamp, plan.current())])

    async def _note(self, rows: TemporalRows) -> bool:
        """Take note of when rows come or go next, and say whether any came or went now."""
        row = await (await self._connection.execute(rows.summary().encode())).fetchone()
        has_moved, rows.next_ms = row or (False, None)
        return bool(has_moved)

    async def _run(self, statements: Sequence[str]) -> bool:
        """Run statements, and say whether the last wrote anything."""
        count = 0
        for sql in statements:
            count = (await self._connection.execute(sql.encode())).rowcount
        return count > 0

    async def _try(self, work: Awaitable[bool], view: CatalogObject) -> bool | None:
        """Do the work of a view's plan, and say whether it logged anything; None when it fails."""
        try:
            async with self._connection.transaction():
                return await work
        except psycopg.Error as error:
            # If the data are at fault, the full computation says so, too; else the plan is.
            self._log(f"the changes of {view.full_name} cannot be followed: {error.sqlstate}")
            self._plans[view.id] = None
            await drop_tables(self._connection, view.id)
            return None

    def recompute(self, view_ids: Iterable[str]) -> None:
        """Have views computed in full by the next tick, by what their definitions are then."""
        for one in view_ids:
            self.recompute_next.add(one)
            self._plans.pop(one, None)

    def forget_plans(self) -> None:
        """Make all plans anew when they are needed: names in them may have changed."""
        self._plans.clear()

    async def _recover(self, view: CatalogObject) -> None:
        await self._connection.execute(storage.SET_ERROR, [None, None, None, view.id])
        self._faults.pop(view.id, None)
        self.catalog_changed = True
        self._log(f"materialized view {view.full_name} can be computed again")

    async def _poison(self, view: CatalogObject, fault: EmulatorError) -> bool:
        if view.error == fault.message:
            return False
        self._plans.pop(view.id, None)
        # They are not brought up to date as long as the view is not.
        await drop_tables(self._connection, view.id)
        self._faults[view.id] = fault
        await self._connection.execute(storage.SET_ERROR, [fault.message, fault.sqlstate, fault.detail, view.id])
        self.catalog_changed = True
        self._log(f"materialized view {view.full_name} cannot be computed: {fault.sqlstate}")
        return True

    async def _offender(self, view: CatalogObject, error: psycopg.Error, after: int, timestamp: int) -> str | None:
        if not isinstance(error, psycopg.errors.DataError):
            return None
        from thedata_cli.components.materialize.emulator.incremental.offender import find_offender

        since = after if view.error is None else 0
        return await find_offender(self._connection, self._catalog, view, since, timestamp)


def evaluation_error(error: psycopg.Error) -> EmulatorError:
    """Return the error of a view's rows as Materialize words it."""
    message = (error.diag.message_primary or str(error)).removeprefix("Evaluation error: ")
    return EmulatorError(error.sqlstate or INTERNAL_ERROR, f"Evaluation error: {message}", error.diag.message_detail)
