"""Temporal filters: the conditions by which rows come into a query, or leave it, as time passes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from thedata_cli.components.materialize.emulator.catalog import CatalogObject
from thedata_cli.components.materialize.emulator.incremental.sources import (
    Leaf,
    NotIncremental,
    check_linear,
    from_items,
    to_sql,
)
from thedata_cli.components.materialize.emulator.incremental.temporal_rows import OWN_COLUMNS, ROW, TemporalRows
from thedata_cli.components.materialize.emulator.statements import MATERIALIZED_VIEW

# By the operator, with `mz_now()` on its left: which end of a row's time it gives, and how far that is from the value.
_BOUNDS: dict[type[exp.Expr], tuple[str, int]] = {
    exp.LTE: ("until", 0),
    exp.LT: ("until", -1),
    exp.GTE: ("since", 0),
    exp.GT: ("since", 1),
}
_MIRRORED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.LTE: exp.GTE,
    exp.LT: exp.GT,
    exp.GTE: exp.LTE,
    exp.GT: exp.LT,
}


@dataclass(frozen=True)
class _Bound:
    end: str
    offset: int
    value: exp.Expr

    def sql(self) -> str:
        """Return it in milliseconds, both ends belonging to the row's time."""
        moment = f"CAST(CAST(({to_sql(_of_row(self.value))}) AS mz_catalog.mz_timestamp) AS bigint)"
        return f"{moment} {self.offset:+d}" if self.offset else moment


@dataclass
class _Filter:
    """The temporal filters of one leaf; `guards` are the other conditions that read it alone."""

    bounds: list[_Bound] = field(default_factory=list)
    guards: list[exp.Expr] = field(default_factory=list)


def reads_time(tree: exp.Expr) -> bool:
    """Whether a query calls mz_now()."""
    return any(_is_now(one) for one in tree.find_all(exp.Anonymous))


def lift_filters(tree: exp.Expr, leaves: list[Leaf], view: CatalogObject) -> list[TemporalRows]:
    """Take the temporal filters out of a query where they read one leaf alone.

    Such a leaf is then no more the collection, but those rows of it that count now; the list of leaves is changed, too.

    Raises:
        NotIncremental: The query joins in a way that nobody follows.
    """
    if any(isinstance(column.this, exp.Star) for column in tree.find_all(exp.Column)):
        # The whole row of what stands for a collection would not be one of the collection.
        return []
    if any(OWN_COLUMNS & set(leaf.object.columns) for leaf in leaves):
        return []
    for select in list(tree.find_all(exp.Select)):
        _push_down(select)
    filters: dict[str, _Filter] = {}
    for select in tree.find_all(exp.Select):
        _collect(select, {leaf.marker for leaf in leaves}, filters)
    lifted = []
    for at, leaf in enumerate(leaves):
        if leaf.marker in filters:
            rows = _temporal_rows(leaf.object, filters[leaf.marker], f"{view.id}_temporal{at}")
            lifted.append(rows)
            leaves[at] = Leaf(rows.object, leaf.marker)
    return lifted


def _temporal_rows(of: CatalogObject, found: _Filter, name: str) -> TemporalRows:
    # In a plan, a table with a log is what a materialized view is.
    stand_in = dataclasses.replace(of, id=name, kind=MATERIALIZED_VIEW, definition={})
    return TemporalRows(
        of,
        stand_in,
        since=[one.sql() for one in found.bounds if one.end == "since"],
        until=[one.sql() for one in found.bounds if one.end == "until"],
        guards=[to_sql(_of_row(one)) for one in found.guards],
    )


def _of_row(condition: exp.Expr) -> exp.Expr:
    copy = condition.copy()
    for column in copy.find_all(exp.Column):
        column.set("table", exp.to_identifier(ROW))
    return copy


def _is_now(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and str(node.this).lower() == "mz_now"


def _bound_of(condition: exp.Expr) -> _Bound | None:
    kind = type(condition)
    if kind not in _BOUNDS:
        return None
    left, right = condition.this.unnest(), condition.expression.unnest()
    if _is_now(right):
        left, right, kind = right, left, _MIRRORED[kind]
    if not _is_now(left) or reads_time(right) or right.find(exp.Query, exp.Window, exp.AggFunc):
        return None
    return _Bound(*_BOUNDS[kind], right)


def _conjuncts(select: exp.Select) -> list[exp.Expr]:
    where = select.args.get("where")
    return list(_split(where.this)) if where else []


def _split(node: exp.Expr) -> Iterator[exp.Expr]:
    node = node.unnest()
    if isinstance(node, exp.And):
        yield from _split(node.this)
        yield from _split(node.expression)
    else:
        yield node


def _set_conjuncts(select: exp.Select, conjuncts: list[exp.Expr]) -> None:
    condition = exp.and_(*(one.copy() for one in conjuncts)) if conjuncts else None
    select.set("where", exp.Where(this=condition) if condition is not None else None)


def _owner(condition: exp.Expr, items: list[tuple[exp.Expr, bool]]) -> exp.Expr | None:
    """Return the one item of FROM that a condition reads; None if it reads others or an outer join may empty it."""
    names = {column.table for column in condition.find_all(exp.Column)}
    if len(names) != 1:
        return None
    name = names.pop()
    # A lone item's columns are printed without its name.
    owners = [one for one in items if one[0].alias_or_name == name] if name else items
    return owners[0][0] if len(owners) == 1 and not owners[0][1] else None


def _collect(select: exp.Select, markers: set[str], filters: dict[str, _Filter]) -> None:
    """Take temporal filters out of a SELECT."""
    conjuncts = _conjuncts(select)
    if not any(_bound_of(one) for one in conjuncts):
        return
    items = from_items(select)
    rest = []
    owners: list[tuple[str, exp.Expr]] = []
    for one in conjuncts:
        owner, bound = _owner(one, items), _bound_of(one)
        name = owner.name if isinstance(owner, exp.Table) and owner.name in markers else None
        if name and bound:
            filters.setdefault(name, _Filter()).bounds.append(bound)
            continue
        if name and not reads_time(one) and not one.find(exp.Query):
            owners.append((name, one))
        rest.append(one)
    for name, guard in owners:
        if name in filters:
            filters[name].guards.append(guard)
    _set_conjuncts(select, rest)


def _push_down(select: exp.Select) -> None:
    """Move temporal filters into the subqueries whose columns they read: views below a view are such."""
    conjuncts = _conjuncts(select)
    if not any(_bound_of(one) for one in conjuncts):
        return
    items = from_items(select)
    rest = []
    for one in conjuncts:
        owner = _owner(one, items) if _bound_of(one) else None
        if not (isinstance(owner, exp.Subquery) and not owner.args["alias"].columns and _push_into(owner.this, one)):
            rest.append(one)
    _set_conjuncts(select, rest)


def _push_into(query: exp.Expr, condition: exp.Expr) -> bool:
    try:
        sides = list(_linear_sides(query))
    except NotIncremental:
        return False
    names = sides[0].named_selects
    if any(column.name not in names for column in condition.find_all(exp.Column)):
        return False
    for side in sides:
        pushed = _exchanged(condition, dict(zip(names, side.expressions, strict=True)))
        _set_conjuncts(side, [*_conjuncts(side), pushed])
    return True


def _linear_sides(query: exp.Expr) -> Iterator[exp.Select]:
    """Yield the SELECTs of a query, in each of which a filter above it may as well be.

    Raises:
        NotIncremental: In one of them it may not.
    """
    query = query.unnest()
    if isinstance(query, exp.Union) and not query.args.get("distinct"):
        yield from _linear_sides(query.left)
        yield from _linear_sides(query.right)
    elif isinstance(query, exp.Select):
        check_linear(query)
        yield query
    else:
        raise NotIncremental(type(query).__name__)


def _exchanged(condition: exp.Expr, projections: dict[str, exp.Expr]) -> exp.Expr:
    copy = condition.copy()
    for column in list(copy.find_all(exp.Column)):
        found = projections[column.name]
        column.replace(exp.paren((found.this if isinstance(found, exp.Alias) else found).copy()))
    return copy
