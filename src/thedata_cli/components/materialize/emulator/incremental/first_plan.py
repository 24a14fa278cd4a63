"""The plans of a view with DISTINCT ON: the first row of each key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from thedata_cli.components.materialize.emulator.incremental.kept_rows import (
    HASH,
    KeptRows,
    hash_of,
    key_columns,
    made_anew,
)
from thedata_cli.components.materialize.emulator.incremental.plan import Plan, into_log
from thedata_cli.components.materialize.emulator.incremental.sources import restored, to_sql
from thedata_cli.components.materialize.emulator.storage import DIFF
from thedata_cli.components.materialize.emulator.tokens import quote_name


@dataclass
class FirstPlan(Plan):
    """Keeps the first rows, with what they are ordered by: enough where rows only come.

    Attributes:
        keys: The number of columns that are distinct.
        order: What orders the rows of one key, as SQL over the columns `mz_o…`.
    """

    keys: int = 0
    order: list[str] = field(default_factory=list)

    def _others(self) -> list[str]:
        return [*(f"mz_o{number}" for number in range(len(self.order))), *self._outputs()]

    def _outputs(self) -> list[str]:
        return [f"mz_c{number}" for number in range(len(self.view.columns))]

    def _columns(self) -> str:
        return ", ".join([HASH, *key_columns(self.keys), *self._others()])

    def _hashed(self, rows: str) -> str:
        return f"SELECT {hash_of(key_columns(self.keys))} AS {HASH}, * FROM {rows}"

    def _body(self) -> str:
        return f"({to_sql(restored(self.body, self.leaves))}) AS mz_rows"

    def _first(self, rows: str) -> str:
        keys = ", ".join(key_columns(self.keys))
        # Which of two rows comes first must never change while both are there, so something orders them to the end.
        order = ", ".join([keys, *self.order, hash_of(self._outputs())])
        return f"SELECT DISTINCT ON ({keys}) * FROM ({rows}) AS mz_all ORDER BY {order}"

    def _named(self) -> str:
        pairs = zip(self._outputs(), self.view.columns, strict=True)
        return ", ".join(f"{mine} AS {quote_name(name)}" for mine, name in pairs)

    def rebuild(self) -> Sequence[str]:
        """Make the table of first rows."""
        return made_anew(self.view.stored_as("_state"), self._first(self._hashed(self._body())), HASH)

    def current(self) -> str:
        """Return the first rows."""
        return f"SELECT {self._named()} FROM {self.view.stored_as('_state')}"

    def log_changes(self, changes: str) -> str:
        """Let the new rows compete with the first ones of their keys."""
        state, columns = self.view.stored_as("_state"), self._columns()
        both = f"SELECT {columns} FROM old UNION ALL SELECT {columns} FROM delta"
        return (
            f"WITH delta AS MATERIALIZED ({self._hashed(f'({changes}) AS mz_rows')}), "
            f"old AS MATERIALIZED (SELECT ctid AS mz_place, * FROM {state} "
            f"WHERE {HASH} IN (SELECT {HASH} FROM delta)), "
            f"winners AS MATERIALIZED ({self._first(both)}), "
            f"gone AS (DELETE FROM {state} WHERE ctid = ANY (ARRAY(SELECT mz_place FROM old))), "
            f"added AS (INSERT INTO {state} SELECT {columns} FROM winners) "
            f"{self._log('winners', 'old')}"
        )

    def _log(self, after: str, before: str) -> str:
        final = (
            f"SELECT 1 AS mz_weight, {self._named()} FROM {after} "
            f"UNION ALL SELECT -1 AS mz_weight, {self._named()} FROM {before}"
        )
        return into_log(self.view, final, "mz_weight")


@dataclass
class FirstOfManyPlan(FirstPlan):
    """Keeps all rows, so that the second is known when the first goes."""

    def _rows(self) -> KeptRows:
        return KeptRows(self.view.stored_as("_rows"), key_columns(self.keys), self._others())

    def rebuild(self) -> Sequence[str]:
        """Make the table of rows."""
        return self._rows().rebuild(self._body())

    def current(self) -> str:
        """Return the first rows."""
        return f"SELECT {self._named()} FROM ({self._first(f'SELECT * FROM {self._rows().table}')}) AS mz_first"

    def log_changes(self, changes: str) -> str:
        """Log which rows were first before and after the changes."""
        rows = self._rows()
        parts = [
            *rows.merge(f"({changes}) AS mz_changes", DIFF),
            rows.touched(),
            f"mz_before AS MATERIALIZED ({self._first(rows.before())})",
            f"mz_after AS MATERIALIZED ({self._first(rows.after())})",
        ]
        return f"WITH {', '.join(parts)} {self._log('mz_after', 'mz_before')}"
