"""How one view follows changes: as SQL for each set of inputs that can change at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from thedata_cli.components.materialize.emulator.catalog import CatalogObject
from thedata_cli.components.materialize.emulator.incremental.grouped import COUNT, HASH, Aggregates, merged
from thedata_cli.components.materialize.emulator.incremental.sources import (
    AFTER,
    UNTIL,
    Leaf,
    NotIncremental,
    restored,
    terms,
    to_sql,
    union_all,
)
from thedata_cli.components.materialize.emulator.storage import DIFF, column_list
from thedata_cli.components.materialize.emulator.tokens import quote_name


@dataclass
class Plan:
    """The plan of one view.

    Attributes:
        body: The rows from which the view is made, without grouping; its columns are what `state_columns` needs.
        leaves: The collections in it.
        only_grows: It can follow rows that come, and none that go.
    """

    view: CatalogObject
    body: exp.Expr
    leaves: list[Leaf]
    only_grows: bool = False
    _known: dict[frozenset[str], str | None] = field(default_factory=dict)

    def read(self) -> set[str]:
        """Return the ids of the collections that it reads."""
        return {leaf.object.id for leaf in self.leaves}

    def delta(self, changed: frozenset[str], after: int, until: int) -> str | None:
        """Return what logs the changes of the view; None when it must be computed in full."""
        if changed not in self._known:
            try:
                self._known[changed] = self.log_changes(union_all(terms(self.body, self.leaves, set(changed))))
            except NotIncremental:
                self._known[changed] = None
        sql = self._known[changed]
        return sql.replace(AFTER, str(after)).replace(UNTIL, str(until)) if sql else None

    def rebuild(self) -> Sequence[str]:
        """Return what makes anew what the plan keeps beside the view."""
        return ()

    def log_changes(self, changes: str) -> str:
        """Return SQL that writes to the view's log, and brings what is kept up to date.

        Args:
            changes: A query of the changes of `body`.
        """
        columns = column_list(self.view.columns)
        return _into_log(self.view, f"SELECT {DIFF}, {columns} FROM ({changes}) AS mz_d ({columns}, {DIFF})", DIFF)


def _into_log(view: CatalogObject, changes: str, weight: str) -> str:
    columns = column_list(view.columns)
    return (
        f"INSERT INTO {view.stored_as('_log')} SELECT {UNTIL}, sum({weight})::bigint, {columns} FROM "
        f"({changes}) AS mz_out "
        f"GROUP BY {columns} HAVING sum({weight}) <> 0"
    )


def _keys(count: int) -> list[str]:
    return [f"mz_k{number}" for number in range(count)]


@dataclass
class GroupedPlan(Plan):
    """GROUP BY, DISTINCT, or an aggregate over everything."""

    aggregates: Aggregates = field(default_factory=lambda: Aggregates([]))
    outputs: list[str] = field(default_factory=list)
    having: str | None = None
    is_global: bool = False

    def _state(self, rows: str, weight: str) -> str:
        """Return the query of one row for each group of `rows`."""
        keys = _keys(len(self.aggregates.keys))
        parts = [f"sum({weight})::bigint AS {COUNT}"]
        parts += [
            f"{sql.format(w=weight) if '{w}' in sql else sql} AS {name}"
            for name, (sql, _) in self.aggregates.partials.items()
        ]
        columns = ", ".join([*keys, *parts])
        group = f" GROUP BY {', '.join(keys)}" if keys else ""
        hashed = f"hash_record_extended(ROW({', '.join(keys)}), 0)" if keys else "0::bigint"
        return f"SELECT {hashed} AS {HASH}, * FROM (SELECT {columns} FROM {rows}{group}) AS mz_g"

    def rebuild(self) -> Sequence[str]:
        """Make the table of groups."""
        state = self.view.stored_as("_state")
        rows = f"({to_sql(restored(self.body, self.leaves))}) AS mz_rows"
        return (
            f"DROP TABLE IF EXISTS {state}",
            f"CREATE TABLE {state} AS {self._state(rows, 'CAST(1 AS BIGINT)')}",
            f"CREATE INDEX ON {state} ({HASH})",
            f"ANALYZE {state}",
        )

    def log_changes(self, changes: str) -> str:
        """Merge the changes into the groups, and log old and new outputs of those that they touch."""
        state, keys = self.view.stored_as("_state"), _keys(len(self.aggregates.keys))
        same = " AND ".join(
            [f"old.{HASH} = delta.{HASH}", *(f"old.{key} IS NOT DISTINCT FROM delta.{key}" for key in keys)]
        )
        columns = [HASH, *keys, COUNT, *self.aggregates.partials]
        merges = [f"delta.{name} AS {name}" for name in (HASH, *keys)]
        merges.append(f"coalesce(old.{COUNT}, 0) + coalesce(delta.{COUNT}, 0) AS {COUNT}")
        merges += [f"{merged(how, name)} AS {name}" for name, (_, how) in self.aggregates.partials.items()]
        outputs = ", ".join(
            f"{sql} AS {quote_name(name)}" for sql, name in zip(self.outputs, self.view.columns, strict=True)
        )
        alive = "true" if self.is_global else f"{COUNT} > 0"
        where = f"{alive} AND ({self.having})" if self.having else alive
        final = (
            f"SELECT 1 AS mz_weight, {outputs} FROM merged WHERE {where} "
            f"UNION ALL SELECT -1 AS mz_weight, {outputs} FROM old WHERE {where}"
        )
        return (
            f"WITH delta AS MATERIALIZED ({self._state(f'({changes}) AS mz_rows', DIFF)}), "
            f"old AS MATERIALIZED (SELECT old.ctid AS mz_place, old.* FROM {state} AS old JOIN delta ON {same}), "
            f"merged AS MATERIALIZED (SELECT {', '.join(merges)} FROM delta LEFT JOIN old ON {same}), "
            f"gone AS (DELETE FROM {state} WHERE ctid = ANY (ARRAY(SELECT mz_place FROM old))), "
            f"added AS (INSERT INTO {state} SELECT {', '.join(columns)} FROM merged WHERE {alive}) "
            f"{_into_log(self.view, final, 'mz_weight')}"
        )


@dataclass
class FirstPlan(Plan):
    """DISTINCT ON: the first row of each key is kept, with what it is ordered by."""

    keys: int = 0
    order: list[str] = field(default_factory=list)

    def _columns(self) -> list[str]:
        return [HASH, *_keys(self.keys), *(f"mz_o{number}" for number in range(len(self.order))), *self._outputs()]

    def _outputs(self) -> list[str]:
        return [f"mz_c{number}" for number in range(len(self.view.columns))]

    def _rows(self, rows: str) -> str:
        return (
            f"SELECT hash_record_extended(ROW({', '.join(_keys(self.keys))}), 0) AS {HASH}, * FROM ({rows}) AS mz_rows"
        )

    def _first(self, rows: str, last: str = "") -> str:
        keys = ", ".join(_keys(self.keys))
        order = ", ".join([keys, *self.order, *([last] if last else [])])
        return f"SELECT DISTINCT ON ({keys}) * FROM ({rows}) AS mz_all ORDER BY {order}"

    def rebuild(self) -> Sequence[str]:
        """Make the table of first rows."""
        state = self.view.stored_as("_state")
        rows = self._rows(to_sql(restored(self.body, self.leaves)))
        return (
            f"DROP TABLE IF EXISTS {state}",
            f"CREATE TABLE {state} AS {self._first(rows)}",
            f"CREATE INDEX ON {state} ({HASH})",
            f"ANALYZE {state}",
        )

    def log_changes(self, changes: str) -> str:
        """Let the new rows compete with the first ones of their keys."""
        state, columns = self.view.stored_as("_state"), ", ".join(self._columns())
        both = f"SELECT 0 AS mz_age, {columns} FROM old UNION ALL SELECT 1, {columns} FROM delta"
        outputs = ", ".join(
            f"{mine} AS {quote_name(name)}" for mine, name in zip(self._outputs(), self.view.columns, strict=True)
        )
        final = f"SELECT 1 AS mz_weight, {outputs} FROM winners UNION ALL SELECT -1 AS mz_weight, {outputs} FROM old"
        return (
            f"WITH delta AS MATERIALIZED ({self._rows(changes)}), "
            f"old AS MATERIALIZED (SELECT ctid AS mz_place, * FROM {state} WHERE {HASH} IN (SELECT {HASH} "
            "FROM delta)), "
            f"winners AS MATERIALIZED ({self._first(both, 'mz_age')}), "
            f"gone AS (DELETE FROM {state} WHERE ctid = ANY (ARRAY(SELECT mz_place FROM old))), "
            f"added AS (INSERT INTO {state} SELECT {columns} FROM winners) "
            f"{_into_log(self.view, final, 'mz_weight')}"
        )
