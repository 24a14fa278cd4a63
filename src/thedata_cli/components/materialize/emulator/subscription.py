"""SUBSCRIBE: which changes a subscription has still to tell, as SQL for each span of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from thedata_cli.components.materialize.emulator import storage
from thedata_cli.components.materialize.emulator.catalog import CatalogObject
from thedata_cli.components.materialize.emulator.errors import UNDEFINED_COLUMN, EmulatorError
from thedata_cli.components.materialize.emulator.statements import Subscribe
from thedata_cli.components.materialize.emulator.storage import DIFF, TIMESTAMP, column_list
from thedata_cli.components.materialize.emulator.tokens import quote_name


@dataclass
class Subscription:
    """One subscription to one collection.

    Attributes:
        position: All changes up to and at this time are told.
        last: The last time that is told; None for no end.
        needs_snapshot: The rows as of `position` are not told yet.
        needs_first_progress: So is the progress message with which a subscription begins.
        moved: Called with each new position, so that the changes before it need not be kept.
    """

    statement: Subscribe
    object: CatalogObject
    position: int
    last: int | None
    needs_snapshot: bool
    needs_first_progress: bool
    moved: Callable[[int], None] = lambda _to: None

    @property
    def is_over(self) -> bool:
        """Whether everything up to UP TO is told."""
        return self.last is not None and not self.needs_snapshot and self.position >= self.last

    def until(self, frontier: int) -> int:
        """Return the time up to which a batch made now can go."""
        return frontier if self.last is None else min(frontier, self.last)

    def has_batch(self, frontier: int) -> bool:
        """Whether there is something to look for."""
        if self.needs_snapshot or self.needs_first_progress:
            return frontier >= self.position
        return self.until(frontier) > self.position

    def exists(self, frontier: int) -> str:
        """Return a query that says whether a batch made now has rows."""
        span = f"{TIMESTAMP} > {self.position} AND {TIMESTAMP} <= {self.until(frontier)}"
        table = self.object.stored_as() if self.object.is_webhook else self.object.stored_as("_log")
        return f"SELECT 1 FROM {table} WHERE {span} LIMIT 1"

    def advance(self, frontier: int) -> None:
        """Note that the batch up to now is told."""
        self.position = max(self.position, self.until(frontier))
        self.needs_snapshot = self.needs_first_progress = False
        self.moved(self.position)

    def empty_batch(self) -> str:
        """Return a query with the columns of a batch, and no rows."""
        return f"SELECT * FROM ({self.batch(self.position)}) AS mz_none WHERE false"

    def batch(self, frontier: int) -> str:
        """Return the query of all that is to be told up to now."""
        until = self.until(frontier)
        changes = storage.changes_between(self.object, self.position, until)
        columns = column_list(self.object.columns)
        if self.needs_snapshot:
            state = storage.state_at(self.object, self.position)
            changes = (
                f"SELECT {self.position}::bigint AS {TIMESTAMP}, {DIFF}, {columns} FROM ({state}) AS mz_state "
                f"UNION ALL {changes}"
            )
        rows = _ENVELOPES[self.statement.envelope](changes, self.object.columns, self.statement.keys)
        order = f"{TIMESTAMP}"
        if not self.statement.progress:
            if self.statement.order_within:
                order += f", {self.statement.order_within.sql}"
            return (
                f"SELECT {TIMESTAMP}::numeric AS {TIMESTAMP}, {_without_timestamp(self)} FROM ({rows}) AS mz_rows "
                f"ORDER BY {order}"
            )
        nulls = ", ".join(["NULL"] * (1 + len(self._data_columns())))
        first = f"SELECT {self.position}::numeric, true, {nulls} UNION ALL " if self.needs_first_progress else ""
        told = (
            f"SELECT {TIMESTAMP}::numeric AS {TIMESTAMP}, false AS mz_progressed, {_without_timestamp(self)} FROM "
            f"({rows}) AS mz_rows"
        )
        within = f", {self.statement.order_within.sql}" if self.statement.order_within else ""
        return (
            f"SELECT * FROM ({told} UNION ALL {first}SELECT {until + 1}::numeric, true, {nulls}) AS mz_told "
            f"ORDER BY {TIMESTAMP}, NOT mz_progressed{within}"
        )

    def _data_columns(self) -> list[str]:
        columns, keys = self.object.columns, self.statement.keys
        if self.statement.envelope == "diffs":
            return list(columns)
        values = [one for one in columns if one not in keys]
        if self.statement.envelope == "upsert":
            return [*keys, *values]
        return [*keys, *(f"before_{one}" for one in values), *(f"after_{one}" for one in values)]


def _without_timestamp(subscription: Subscription) -> str:
    first = DIFF if subscription.statement.envelope == "diffs" else "mz_state"
    return ", ".join([first, column_list(subscription._data_columns())])


def check_keys(statement: Subscribe, one: CatalogObject) -> None:
    """Check the key columns of an envelope.

    Raises:
        EmulatorError: One of them is no column.
    """
    for key in statement.keys:
        if key not in one.columns:
            raise EmulatorError(UNDEFINED_COLUMN, f'column "{key}" does not exist')


def _diffs(changes: str, _columns: tuple[str, ...], _keys: tuple[str, ...]) -> str:
    return changes


def _upsert(changes: str, columns: tuple[str, ...], keys: tuple[str, ...]) -> str:
    is_upsert = "mz_added = 1 AND mz_removed <= 1"
    values = "".join(
        f", CASE WHEN {is_upsert} THEN {quote_name(one)} END AS {quote_name(one)}" for one in columns if one not in keys
    )
    key_list = column_list(keys)
    group = f"(PARTITION BY {TIMESTAMP}, {key_list})"
    return (
        f"SELECT DISTINCT ON ({TIMESTAMP}, {key_list}) {TIMESTAMP}, CASE WHEN {is_upsert} THEN 'upsert' "
        "WHEN mz_added = 0 AND mz_removed = 1 THEN 'delete' ELSE 'key_violation' END AS mz_state, "
        f"{key_list}{values} FROM (SELECT *, sum(greatest({DIFF}, 0)) OVER {group} AS mz_added, "
        f"sum(greatest(-{DIFF}, 0)) OVER {group} AS mz_removed FROM ({changes}) AS mz_changes) AS mz_added_up "
        f"ORDER BY {TIMESTAMP}, {key_list}, {DIFF} DESC"
    )


def _debezium(changes: str, columns: tuple[str, ...], keys: tuple[str, ...]) -> str:
    values = [one for one in columns if one not in keys]
    before = "".join(f", removed.{quote_name(one)} AS {quote_name('before_' + one)}" for one in values)
    after = "".join(f", added.{quote_name(one)} AS {quote_name('after_' + one)}" for one in values)
    key_columns = ", ".join(
        f"coalesce(added.{quote_name(one)}, removed.{quote_name(one)}) AS {quote_name(one)}" for one in keys
    )
    hashed = f"hash_record_extended(ROW({column_list(keys)}), 0) AS mz_hash"
    same = " AND ".join(f"added.{quote_name(one)} IS NOT DISTINCT FROM removed.{quote_name(one)}" for one in keys)
    return (
        f"WITH mz_changes AS MATERIALIZED (SELECT *, {hashed} FROM ({changes}) AS mz_all) "
        f"SELECT coalesce(added.{TIMESTAMP}, removed.{TIMESTAMP}) AS {TIMESTAMP}, CASE WHEN removed.{DIFF} IS "
        "NULL THEN 'insert' "
        f"WHEN added.{DIFF} IS NULL THEN 'delete' ELSE 'upsert' END AS mz_state, {key_columns}{before}{after} "
        f"FROM (SELECT * FROM mz_changes WHERE {DIFF} > 0) AS added FULL JOIN (SELECT * FROM mz_changes WHERE "
        f"{DIFF} < 0) AS removed "
        f"ON added.{TIMESTAMP} = removed.{TIMESTAMP} AND added.mz_hash = removed.mz_hash AND {same}"
    )


_ENVELOPES = {"diffs": _diffs, "upsert": _upsert, "debezium": _debezium}
