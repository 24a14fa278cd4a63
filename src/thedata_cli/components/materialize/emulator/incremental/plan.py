"""How one view follows changes: as SQL for each set of inputs that can change at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from thedata_cli.components.materialize.emulator.catalog import CatalogObject
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
from thedata_cli.components.materialize.emulator.incremental.temporal_rows import TemporalRows
from thedata_cli.components.materialize.emulator.storage import DIFF, column_list


@dataclass
class Plan:
    """The plan of one view.

    Attributes:
        body: The rows from which the view is made, without grouping; its columns are what `state_columns` needs.
        leaves: The collections in it.
        indexes: What makes the indexes that its joins want.
        temporal: The leaves in which a temporal filter lets rows come and go.
        reads_time: Whether mz_now() is elsewhere in it, too.
    """

    view: CatalogObject
    body: exp.Expr
    leaves: list[Leaf]
    indexes: Sequence[str] = ()
    temporal: Sequence[TemporalRows] = ()
    reads_time: bool = False
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

    def current(self) -> str:
        """Return the query of the view's rows by what is kept beside it."""
        columns = column_list(self.view.columns)
        return f"SELECT {columns} FROM ({to_sql(restored(self.body, self.leaves))}) AS mz_whole ({columns})"

    def log_changes(self, changes: str) -> str:
        """Return SQL that writes to the view's log, and brings what is kept up to date.

        Args:
            changes: A query of the changes of `body`.
        """
        columns = column_list(self.view.columns)
        return into_log(self.view, f"SELECT {DIFF}, {columns} FROM ({changes}) AS mz_d ({columns}, {DIFF})", DIFF)


class WholePlan(Plan):
    """Computes the view in full, but from no more rows than its temporal filters leave."""

    def delta(self, changed: frozenset[str], after: int, until: int) -> None:
        """Return that the view must be computed in full."""


def into_log(view: CatalogObject, changes: str, weight: str) -> str:
    """Return SQL that writes to a view's log what a query of weighted rows leaves."""
    columns = column_list(view.columns)
    return (
        f"INSERT INTO {view.stored_as('_log')} SELECT {UNTIL}, sum({weight})::bigint, {columns} FROM "
        f"({changes}) AS mz_out "
        f"GROUP BY {columns} HAVING sum({weight}) <> 0"
    )
