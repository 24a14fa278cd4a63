"""The rows of a collection that a temporal filter lets through: kept, for in each tick few of them come or go."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thedata_cli.components.materialize.emulator.catalog import CatalogObject
from thedata_cli.components.materialize.emulator.storage import DIFF, TIMESTAMP, column_list, current_rows
from thedata_cli.components.materialize.emulator.tokens import quote_name

if TYPE_CHECKING:
    from psycopg import AsyncConnection

ROW = "mz_row"
SINCE, UNTIL = "mz_since", "mz_until"
OWN_COLUMNS = frozenset([SINCE, UNTIL, TIMESTAMP, DIFF])
_EVER = (-(1 << 63), (1 << 63) - 1)


@dataclass
class TemporalRows:
    """The rows that count now in one mention of a collection, and those that will count later.

    A row whose time has passed is forgotten: time never goes back.

    Attributes:
        of: The collection.
        object: What stands for it in plans. It is kept as a materialized view is: a table, and a log of what changed,
            of the last tick alone. The rows that will count later wait in a third table.
        since: When a row begins to count, in milliseconds, as SQL over its columns; the last of them holds.
        until: When it counts for the last time; the first of them holds.
        guards: Conditions without which a row never counts, whatever its times are.
        next_ms: When the next row comes or goes by itself; None if none will.
    """

    of: CatalogObject
    object: CatalogObject
    since: list[str]
    until: list[str]
    guards: list[str]
    next_ms: int | None = field(default=None, init=False)

    @property
    def _columns(self) -> str:
        return column_list(self.of.columns)

    @property
    def _table(self) -> str:
        return self.object.stored_as()

    @property
    def _log(self) -> str:
        return self.object.stored_as("_log")

    @property
    def _waiting(self) -> str:
        return self.object.stored_as("_waiting")

    def create(self) -> list[str]:
        """Return what makes the tables, empty."""
        made = [
            (self._table, f"{self._columns}, 0::bigint AS {UNTIL}"),
            (self._waiting, f"{self._columns}, 0::bigint AS {SINCE}, 0::bigint AS {UNTIL}"),
            (self._log, f"0::bigint AS {TIMESTAMP}, 0::bigint AS {DIFF}, {self._columns}"),
        ]
        source = f"FROM {current_rows(self.of)} AS mz_like LIMIT 0"
        return [f"CREATE TABLE {table} AS SELECT {columns} {source}" for table, columns in made]

    def fill(self, timestamp: int) -> list[str]:
        """Return what takes all rows of the collection into the empty tables."""
        rows = f"SELECT {self._columns}, 1::bigint AS {DIFF} FROM {current_rows(self.of)} AS mz_all"
        made = [
            f"WITH fresh AS MATERIALIZED ({self._fresh(rows, timestamp)}), {self._wait(timestamp)} "
            f"INSERT INTO {self._table} SELECT {self._columns}, {UNTIL} FROM fresh WHERE {SINCE} <= {timestamp}",
            f"CREATE INDEX ON {self._table} ({UNTIL})",
            f"CREATE INDEX ON {self._waiting} ({SINCE})",
        ]
        if not self.of.is_webhook:
            made += [f"CREATE INDEX ON {table} ({self._hash()})" for table in (self._table, self._waiting)]
        made += [f"ANALYZE {table}" for table in (self._table, self._waiting)]
        return [*made, f"COMMENT ON TABLE {self._table} IS '{self.fingerprint}'"]

    @property
    def fingerprint(self) -> str:
        """What the rows are chosen by, in short."""
        chosen_by = [self.of.id, *self.of.columns, "", *self.since, "", *self.until, "", *self.guards]
        return hashlib.sha256("\0".join(chosen_by).encode()).hexdigest()

    def _hash(self, of: str = "") -> str:
        return f"hash_record_extended(ROW({column_list(self.of.columns, of)}), 0)"

    def _fresh(self, rows: str, timestamp: int) -> str:
        """Return the query of those of some rows that count now or later, each with its time."""
        bounds = [*self.since, *self.until]
        names = [f"mz_b{at}" for at in range(len(bounds))]
        guard = " AND ".join(f"({one})" for one in self.guards)
        # The other conditions may be what keeps a bound from failing. OFFSET has it computed once.
        values = ", ".join(
            f"CASE WHEN {guard} THEN {sql} END AS {name}" if guard else f"{sql} AS {name}"
            for sql, name in zip(bounds, names, strict=True)
        )
        known = " AND ".join(f"{name} IS NOT NULL" for name in names)
        since, until = names[: len(self.since)], names[len(self.since) :]
        return (
            f"SELECT * FROM (SELECT {self._columns}, {DIFF}, {_value('greatest', since, _EVER[0])} AS {SINCE}, "
            f"{_value('least', until, _EVER[1])} AS {UNTIL} FROM (SELECT *, {values} FROM ({rows}) AS {ROW} OFFSET 0) "
            f"AS mz_bounded WHERE {known}) AS mz_timed WHERE {UNTIL} >= greatest({SINCE}, {timestamp})"
        )

    def _wait(self, timestamp: int) -> str:
        return (
            f"waits AS (INSERT INTO {self._waiting} SELECT {self._columns}, {SINCE}, {UNTIL} FROM fresh "
            f"WHERE {SINCE} > {timestamp})"
        )

    def advance(self, after: int, timestamp: int) -> list[str]:
        """Return what takes in a tick's changes of the collection, and what the time brings; the log has them then."""
        return [f"DELETE FROM {self._log}", *self._remove(after, timestamp), self._move(after, timestamp)]

    def _changes(self, after: int, timestamp: int) -> str:
        span = f"{TIMESTAMP} > {after} AND {TIMESTAMP} <= {timestamp}"
        if self.of.is_webhook:
            return f"SELECT {self._columns}, 1::bigint AS {DIFF} FROM {self.of.stored_as()} WHERE {span}"
        return (
            f"SELECT {self._columns}, sum({DIFF})::bigint AS {DIFF} FROM {self.of.stored_as('_log')} WHERE {span} "
            f"GROUP BY {self._columns} HAVING sum({DIFF}) <> 0"
        )

    def _remove(self, after: int, timestamp: int) -> list[str]:
        """Return what takes away the rows that the collection lost: before any of them can come by time."""
        if self.of.is_webhook:
            return []
        lost = f"WITH lost AS MATERIALIZED (SELECT * FROM ({self._changes(after, timestamp)}) AS mz_c WHERE {DIFF} < 0)"
        return [
            f"{lost} {self._delete_lost(self._waiting)}",
            f"{lost}, gone AS ({self._delete_lost(self._table)} RETURNING {self._columns}) "
            f"INSERT INTO {self._log} SELECT {timestamp}, -1, {self._columns} FROM gone",
        ]

    def _delete_lost(self, table: str) -> str:
        kept, lost = (f"ROW({column_list(self.of.columns, of)})" for of in ("kept", "lost"))
        return (
            f"DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT found.place FROM lost CROSS JOIN LATERAL ("
            f"SELECT kept.ctid AS place FROM {table} AS kept WHERE {self._hash('kept')} = {self._hash('lost')} "
            f"AND {kept} IS NOT DISTINCT FROM {lost} LIMIT -lost.{DIFF}) AS found))"
        )

    def _move(self, after: int, timestamp: int) -> str:
        changes = self._changes(after, timestamp)
        if not self.of.is_webhook:
            changes = (
                f"SELECT {self._columns}, {DIFF} FROM ({changes}) AS mz_c, generate_series(1, {DIFF}) AS mz_n "
                f"WHERE {DIFF} > 0"
            )
        with_until = f"{self._columns}, {UNTIL}"
        return (
            f"WITH fresh AS MATERIALIZED ({self._fresh(changes, timestamp)}), "
            f"due AS (DELETE FROM {self._waiting} WHERE {SINCE} <= {timestamp} RETURNING {with_until}), "
            f"{self._wait(timestamp)}, "
            f"come AS MATERIALIZED (SELECT {with_until} FROM fresh WHERE {SINCE} <= {timestamp} "
            f"UNION ALL SELECT {with_until} FROM due WHERE {UNTIL} >= {timestamp}), "
            f"counted AS (INSERT INTO {self._table} SELECT {with_until} FROM come), "
            f"gone AS (DELETE FROM {self._table} WHERE {UNTIL} < {timestamp} RETURNING {self._columns}) "
            f"INSERT INTO {self._log} SELECT {timestamp}, 1, {self._columns} FROM come "
            f"UNION ALL SELECT {timestamp}, -1, {self._columns} FROM gone"
        )

    def summary(self) -> str:
        """Return the query of whether a row came or went in the last tick, and of when the next will by itself."""
        return (
            f"SELECT EXISTS (SELECT FROM {self._log}), "
            f"least((SELECT min({UNTIL}) + 1 FROM {self._table} WHERE {UNTIL} < {_EVER[1]}), "
            f"(SELECT min({SINCE}) FROM {self._waiting}))"
        )


def _value(choose: str, names: list[str], otherwise: int) -> str:
    return f"{choose}({', '.join(names)})" if names else f"({otherwise})::bigint"


async def make_tables(connection: AsyncConnection[Any], view_id: str, temporal: Sequence[TemporalRows]) -> None:
    """Make the tables for the temporal filters of a view, empty, in place of those that it had."""
    await drop_tables(connection, view_id)
    for sql in (sql for rows in temporal for sql in rows.create()):
        await connection.execute(sql.encode())


async def drop_tables(connection: AsyncConnection[Any], view_id: str) -> None:
    """Drop what is kept for the temporal filters of a view."""
    for name, _ in await (await connection.execute(_KEPT, [f"^{view_id}_temporal[0-9]"])).fetchall():
        await connection.execute(f"DROP TABLE mz_emulator.{quote_name(name)}".encode())


async def are_kept(connection: AsyncConnection[Any], view_id: str, temporal: Sequence[TemporalRows]) -> bool:
    """Whether the tables for the temporal filters of a view are there, chosen by what they should be."""
    rows = await (await connection.execute(_KEPT, [f"^{view_id}_temporal[0-9]+$"])).fetchall()
    return dict(rows) == {one.object.id: one.fingerprint for one in temporal}


_KEPT = (
    "SELECT relname::text, obj_description(oid, 'pg_class') FROM pg_class "
    "WHERE relnamespace = 'mz_emulator'::regnamespace AND relkind = 'r' AND relname ~ %s"
)
