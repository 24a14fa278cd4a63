"""The SELECTs below a view, with the relations in them exchanged for what changed, or for what was before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp, parse_one

from thedata_cli.components.materialize.emulator.catalog import CatalogObject
from thedata_cli.components.materialize.emulator.statements import MATERIALIZED_VIEW
from thedata_cli.components.materialize.emulator.storage import DIFF, TIMESTAMP, column_list, current_rows

AFTER, UNTIL = "mz_after_here", "mz_until_here"
_NOT_LINEAR = ("group", "having", "distinct", "limit", "offset", "windows", "qualify", "with_", "with")


class NotIncremental(Exception):  # noqa: N818
    """The structure of the query does not allow it."""


Lookup = Callable[[str, str], CatalogObject | None]
ViewText = Callable[[str], str]


@dataclass(frozen=True)
class Leaf:
    """One mention of a collection in the query."""

    object: CatalogObject
    marker: str


def expand(sql: str, lookup: Lookup, view_text: ViewText, leaves: list[Leaf], depth: int = 0) -> exp.Expr:
    """Parse a view's query, put the views below it in their places, and mark every collection.

    Raises:
        NotIncremental: It cannot be read, or goes too deep.
    """
    if depth > 20:
        raise NotIncremental("views are nested too deeply")
    tree = parse_one(sql, dialect="postgres")
    named_here = {part.alias for part in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        if not table.db and table.name in named_here:
            continue
        one = lookup(table.db, table.name) if isinstance(table.this, exp.Identifier) else None
        if one is None:
            if isinstance(table.this, exp.Identifier):
                raise NotIncremental(f"{table.sql()} is no object of the catalog")
            continue
        alias = table.alias_or_name
        if table.args.get("alias") and table.args["alias"].columns:
            raise NotIncremental(f"the columns of {table.sql()} have other names")
        if one.is_collection:
            marker = f"mz_leaf_{len(leaves)}"
            leaves.append(Leaf(one, marker))
            marked = exp.Table(
                this=exp.to_identifier(marker), alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True))
            )
            marked.set("joins", table.args.get("joins"))
            table.replace(marked)
        else:
            inner = expand(view_text(one.id), lookup, view_text, leaves, depth + 1)
            subquery = exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
            subquery.set("joins", table.args.get("joins"))
            table.replace(subquery)
    return tree


def terms(tree: exp.Expr, leaves: list[Leaf], changed: set[str]) -> list[exp.Expr]:
    """Return one query for each changed leaf; all of them together are what changed in the result.

    The leaf in question is its changes, changed leaves before it are as they are now, and those after it as they were.
    Each query has a last column `mz_diff`.

    Raises:
        NotIncremental: A changed leaf stands where the result is not linear in it.
    """
    moving = [leaf for leaf in leaves if leaf.object.id in changed]
    found = []
    for at, leaf in enumerate(moving):
        states = {one.marker: "new" for one in leaves}
        states.update({one.marker: "old" for one in moving[at + 1 :]})
        states[leaf.marker] = "delta"
        copy = tree.copy()
        weighted = _weigh(copy, leaves, states, {one.marker for one in moving})
        if weighted is None:
            raise NotIncremental("a changed relation is not in the query")
        found.append(weighted)
    return found


def _weigh(tree: exp.Expr, leaves: list[Leaf], states: dict[str, str], moving: set[str]) -> exp.Expr | None:
    """Exchange the leaves, and add the weight to the columns; None if the changes in question are not in here."""
    if isinstance(tree, exp.Subquery):
        return _weigh(tree.this, leaves, states, moving)
    if isinstance(tree, exp.Union) and not tree.args.get("distinct"):
        names = tree.named_selects
        sides = [_weigh(_renamed(side, names), leaves, states, moving) for side in (tree.left, tree.right)]
        kept = [side for side in sides if side is not None]
        if not kept:
            return None
        return kept[0] if len(kept) == 1 else exp.union(kept[0], kept[1], distinct=False, copy=False)
    if not isinstance(tree, exp.Select):
        raise NotIncremental(f"{type(tree).__name__} is not linear")
    has_delta = any(states.get(table.name) == "delta" for table in tree.find_all(exp.Table))
    if not has_delta:
        return None
    check_linear(tree)
    weights = weigh_from(tree, leaves, states, moving)
    tree.select(exp.alias_(_product(weights), DIFF), copy=False)
    return tree


def _renamed(side: exp.Expr, names: list[str]) -> exp.Expr:
    """Give the columns of one side of a UNION the names that the whole has."""
    if isinstance(side, exp.Select):
        columns = [one.this if isinstance(one, exp.Alias) else one for one in side.expressions]
        side.set("expressions", [exp.alias_(one, name, quoted=True) for one, name in zip(columns, names, strict=True)])
    return side


def check_linear(select: exp.Select) -> None:
    """Refuse a SELECT that does more than join, filter and compute.

    Raises:
        NotIncremental: It does.
    """
    for word in _NOT_LINEAR:
        if select.args.get(word):
            raise NotIncremental(f"{word} below the top")
    for projection in select.expressions:
        if projection.find(exp.AggFunc, exp.Window):
            raise NotIncremental("aggregates below the top")


def _product(weights: list[str]) -> exp.Expr:
    return parse_one(" * ".join(weights) if weights else "CAST(1 AS BIGINT)", dialect="postgres")


def weigh_from(select: exp.Select, leaves: list[Leaf], states: dict[str, str], moving: set[str]) -> list[str]:
    """Exchange the leaves in FROM, and return the weights of its items.

    Raises:
        NotIncremental: A changed leaf is outside of FROM, or on the side of a join that may be empty.
    """
    select.set("order", None)
    by_marker = {leaf.marker: leaf for leaf in leaves}
    items = from_items(select)
    inside = {id(table) for item, _ in items for table in _tables_in(item)}
    for table in select.find_all(exp.Table):
        if id(table) not in inside and table.name in moving:
            raise NotIncremental("a changed relation is in a subquery outside of FROM")
    weights = []
    for item, is_optional in items:
        markers = {table.name for table in _tables_in(item)} & moving
        if not markers:
            continue
        if is_optional:
            raise NotIncremental("a changed relation is on the side of an outer join that may be empty")
        weight = _exchange(item, by_marker, states, leaves, moving)
        if weight:
            weights.append(weight)
    for table in list(select.find_all(exp.Table)):
        _restore(table, by_marker)
    return weights


def from_items(select: exp.Select) -> list[tuple[exp.Expr, bool]]:
    """Return what FROM names, each with whether an outer join may leave it empty.

    Raises:
        NotIncremental: It joins in a way that nobody follows.
    """
    start = select.args.get("from_") or select.args.get("from")
    return [] if start is None else _joined(_item(start.this), select.args.get("joins") or [])


def _tables_in(item: exp.Expr) -> list[exp.Table]:
    """Return the tables of an item of FROM, without those that it is joined with."""
    joined = {id(table) for join in item.args.get("joins") or [] for table in join.find_all(exp.Table)}
    return [table for table in item.find_all(exp.Table) if id(table) not in joined]


def _item(node: exp.Expr) -> list[tuple[exp.Expr, bool]]:
    # Parentheses around joins are a subquery without a name.
    is_group = isinstance(node, exp.Subquery) and not node.alias
    items = _item(node.this) if is_group else [(node, False)]
    return _joined(items, node.args.get("joins") or [])


def _joined(items: list[tuple[exp.Expr, bool]], joins: list[exp.Join]) -> list[tuple[exp.Expr, bool]]:
    for join in joins:
        side, kind = (join.side or "").upper(), (join.kind or "").upper()
        if kind in ("SEMI", "ANTI") or join.method:
            raise NotIncremental(f"{join.method} {kind} joins")
        if side in ("RIGHT", "FULL"):
            items = [(item, True) for item, _ in items]
        items += [(item, optional or side in ("LEFT", "FULL")) for item, optional in _item(join.this)]
    return items


def _exchange(
    item: exp.Expr, by_marker: dict[str, Leaf], states: dict[str, str], leaves: list[Leaf], moving: set[str]
) -> str | None:
    alias = exp.to_identifier(item.alias_or_name, quoted=True).sql(dialect="postgres")
    if isinstance(item, exp.Table):
        state = states[item.name]
        if state == "new":
            return None
        text, weighted = leaf_query(by_marker[item.name].object, state)
        subquery = exp.Subquery(this=parse_one(text, dialect="postgres"), alias=item.args["alias"].copy())
        subquery.set("joins", item.args.get("joins"))
        item.replace(subquery)
        return f"{alias}.{DIFF}" if weighted else None
    if not isinstance(item, exp.Subquery):
        raise NotIncremental(f"a changed relation in {type(item).__name__}")
    inner_states = {table.name: states[table.name] for table in _tables_in(item) if table.name in states}
    if "delta" in inner_states.values():
        inner = _weigh(item.this, leaves, inner_states, moving)
        if inner is None:
            raise NotIncremental("a changed relation is not in its subquery")
        item.set("this", inner)
        return f"{alias}.{DIFF}"
    if "old" in inner_states.values():
        item.set("this", _old(item.this, leaves, inner_states, moving))
        return f"{alias}.{DIFF}"
    return None


def _old(tree: exp.Expr, leaves: list[Leaf], states: dict[str, str], moving: set[str]) -> exp.Expr:
    if not isinstance(tree, exp.Select):
        raise NotIncremental("what a subquery was before")
    check_linear(tree)
    weights = weigh_from(tree, leaves, states, moving)
    tree.select(exp.alias_(_product(weights), DIFF), copy=False)
    return tree


def _restore(item: exp.Expr, by_marker: dict[str, Leaf]) -> None:
    """Put the relations themselves where leaves are that stay as they are."""
    for table in list(item.find_all(exp.Table)):
        leaf = by_marker.get(table.name)
        if leaf is not None:
            one = leaf.object
            # Materialized views without the question of clients whether they are computed: here that is known.
            schema, name = (one.schema_name, one.name) if one.kind != MATERIALIZED_VIEW else ("mz_emulator", one.id)
            table.set("this", exp.to_identifier(name, quoted=True))
            table.set("db", exp.to_identifier(schema, quoted=True))


def leaf_query(one: CatalogObject, state: str) -> tuple[str, bool]:
    """Return the query of a collection's changes, or of what it was before them, and whether it has weights."""
    columns = column_list(one.columns)
    span = f"{TIMESTAMP} > {AFTER} AND {TIMESTAMP} <= {UNTIL}"
    if one.is_webhook:
        condition = span if state == "delta" else f"{TIMESTAMP} <= {AFTER}"
        return f"SELECT {columns} FROM {one.stored_as()} WHERE {condition}", False
    if state == "delta":
        return f"SELECT {columns}, {DIFF} FROM {one.stored_as('_log')} WHERE {span}", True
    return (
        f"SELECT {columns}, CAST(1 AS BIGINT) AS {DIFF} FROM {current_rows(one)} "
        f"UNION ALL SELECT {columns}, -{DIFF} FROM {one.stored_as('_log')} WHERE {span}",
        True,
    )


def restored(tree: exp.Expr, leaves: list[Leaf]) -> exp.Expr:
    """Return the query with the relations themselves in place of the marks."""
    copy = tree.copy()
    _restore(copy, {leaf.marker: leaf for leaf in leaves})
    return copy


def to_sql(tree: exp.Expr) -> str:
    """Return SQL for the backend."""
    return tree.sql(dialect="postgres", identify=False)


def union_all(queries: list[exp.Expr]) -> str:
    """Return all queries as one."""
    return " UNION ALL ".join(f"({to_sql(query)})" for query in queries)
