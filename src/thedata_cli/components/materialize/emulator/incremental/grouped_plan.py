"""The plan of a view with GROUP BY or DISTINCT, or of an aggregate over everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from thedata_cli.components.materialize.emulator.incremental.grouped import Aggregates, merged
from thedata_cli.components.materialize.emulator.incremental.kept_rows import (
    COUNT,
    HASH,
    KeptRows,
    hash_of,
    key_columns,
    made_anew,
    same,
)
from thedata_cli.components.materialize.emulator.incremental.plan import Plan, into_log
from thedata_cli.components.materialize.emulator.incremental.sources import restored, to_sql
from thedata_cli.components.materialize.emulator.storage import DIFF
from thedata_cli.components.materialize.emulator.tokens import quote_name


@dataclass
class GroupedPlan(Plan):
    """Keeps a row for each group.

    Attributes:
        rows: What the aggregates read that cannot follow a row that goes; None when they need not.
    """

    aggregates: Aggregates = field(default_factory=lambda: Aggregates([]))
    outputs: list[str] = field(default_factory=list)
    having: str | None = None
    rows: KeptRows | None = None

    @property
    def _keys(self) -> list[str]:
        return key_columns(len(self.aggregates.keys))

    @property
    def _alive(self) -> str:
        return f"{COUNT} > 0" if self.aggregates.keys else "true"

    def _state(self, rows: str, weight: str) -> str:
        """Return the query of one row for each group of `rows`."""
        parts = [f"sum({weight})::bigint AS {COUNT}"]
        parts += [f"{one.sql_of(weight)} AS {name}" for name, one in self.aggregates.partials.items()]
        group = f" GROUP BY {', '.join(self._keys)}" if self._keys else ""
        columns = ", ".join([*self._keys, *parts])
        return f"SELECT {hash_of(self._keys)} AS {HASH}, * FROM (SELECT {columns} FROM {rows}{group}) AS mz_g"

    def rebuild(self) -> Sequence[str]:
        """Make the table of groups, and that of rows."""
        state = self.view.stored_as("_state")
        rows = f"({to_sql(restored(self.body, self.leaves))}) AS mz_rows"
        groups = made_anew(state, self._state(rows, "CAST(1 AS BIGINT)"), HASH)
        return [*groups, *(self.rows.rebuild(rows) if self.rows else ())]

    def current(self) -> str:
        """Return the outputs of all groups."""
        return f"SELECT {self._outputs()} FROM {self.view.stored_as('_state')} WHERE {self._where()}"

    def _outputs(self) -> str:
        pairs = zip(self.outputs, self.view.columns, strict=True)
        return ", ".join(f"{sql} AS {quote_name(name)}" for sql, name in pairs)

    def _where(self) -> str:
        return f"{self._alive} AND ({self.having})" if self.having else self._alive

    def log_changes(self, changes: str) -> str:
        """Merge the changes into the groups, and log old and new outputs of those that they touch."""
        state, alike = self.view.stored_as("_state"), same(self._keys, "old", "delta")
        columns = ", ".join([HASH, *self._keys, COUNT, *self.aggregates.partials])
        parts = [
            f"changes AS MATERIALIZED ({changes})",
            f"delta AS MATERIALIZED ({self._state('changes', DIFF)})",
            f"old AS MATERIALIZED (SELECT old.ctid AS mz_place, old.* FROM {state} AS old JOIN delta ON {alike})",
            *self._renewals(),
            f"merged AS MATERIALIZED ({self._merged(alike)})",
            f"gone AS (DELETE FROM {state} WHERE ctid = ANY (ARRAY(SELECT mz_place FROM old)))",
            f"added AS (INSERT INTO {state} SELECT {columns} FROM merged WHERE {self._alive})",
        ]
        final = (
            f"SELECT 1 AS mz_weight, {self._outputs()} FROM merged WHERE {self._where()} "
            f"UNION ALL SELECT -1 AS mz_weight, {self._outputs()} FROM old WHERE {self._where()}"
        )
        return f"WITH {', '.join(parts)} {into_log(self.view, final, 'mz_weight')}"

    def _renewals(self) -> list[str]:
        """Return the parts of the WITH that make some aggregates anew, in groups that rows go from."""
        if self.rows is None:
            return []
        renewed = ", ".join(
            [HASH, *self._keys]
            + [f"{one.sql_of(COUNT)} AS {name}" for name, one in self.aggregates.partials.items() if one.only_grows]
        )
        group = ", ".join([HASH, *self._keys])
        return [
            *self.rows.merge("changes", DIFF),
            self.rows.touched(f"{COUNT} < 0"),
            f"renewed AS MATERIALIZED (SELECT {renewed} FROM ({self.rows.after()}) AS mz_rows GROUP BY {group})",
        ]

    def _merged(self, alike: str) -> str:
        columns = [f"delta.{name}" for name in (HASH, *self._keys)]
        columns.append(f"coalesce(old.{COUNT}, 0) + coalesce(delta.{COUNT}, 0) AS {COUNT}")
        for name, one in self.aggregates.partials.items():
            value = merged(one, name)
            if self.rows and one.only_grows:
                value = f"CASE WHEN touched.{HASH} IS NULL THEN {value} ELSE renewed.{name} END"
            columns.append(f"{value} AS {name}")
        joins = f"delta LEFT JOIN old ON {alike}"
        if self.rows:
            joins += f" LEFT JOIN touched ON {same(self._keys, 'touched', 'delta')}"
            joins += f" LEFT JOIN renewed ON {same(self._keys, 'renewed', 'delta')}"
        return f"SELECT {', '.join(columns)} FROM {joins}"
