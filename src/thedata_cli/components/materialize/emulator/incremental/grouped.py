"""Views with GROUP BY or DISTINCT: for each group a row of sums is kept, to which changes are added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlglot import exp

from thedata_cli.components.materialize.emulator.incremental.sources import NotIncremental, to_sql


@dataclass(frozen=True)
class Partial:
    """One kept column.

    Attributes:
        sql: An aggregate over the rows of a group, with `{w}` for the weight of a row.
        merge: How what is kept and what is added make one: add, least or greatest.
        only_grows: It cannot follow a row that goes: then it must be made anew.
    """

    sql: str
    merge: str
    only_grows: bool = False

    def sql_of(self, weight: str) -> str:
        """Return the aggregate over rows that have a column for the weight."""
        return self.sql.replace("{w}", weight)


@dataclass
class Aggregates:
    """What is kept for each group.

    Attributes:
        keys: The expressions of GROUP BY.
        partials: The kept columns, by their names.
    """

    keys: list[exp.Expr]
    partials: dict[str, Partial] = field(default_factory=dict)

    @property
    def only_grows(self) -> bool:
        """Whether some of what is kept cannot follow a row that goes."""
        return any(one.only_grows for one in self.partials.values())

    def keep(self, sql: str, merge: str, *, only_grows: bool = False) -> str:
        """Return the kept column for an expression, a new one if need be."""
        wanted = Partial(sql, merge, only_grows)
        for name, known in self.partials.items():
            if known == wanted:
                return name
        name = f"mz_p{len(self.partials)}"
        self.partials[name] = wanted
        return name


Types = Callable[[str], tuple[str, bool]]


def read_grouping(select: exp.Select) -> list[exp.Expr] | None:
    """Return the group keys of a SELECT; None when it does not group.

    Raises:
        NotIncremental: It groups in a way that nobody follows.
    """
    distinct, group = select.args.get("distinct"), select.args.get("group")
    if distinct is not None and group is None:
        return [_bare(one) for one in select.expressions]
    if distinct is not None:
        raise NotIncremental("DISTINCT of groups")
    if group is None:
        return [] if any(one.find(exp.AggFunc) for one in select.expressions) else None
    if any(group.args.get(word) for word in ("grouping_sets", "cube", "rollup", "totals", "all")):
        raise NotIncremental("grouping sets")
    return [one.unnest() for one in group.expressions]


def _bare(projection: exp.Expr) -> exp.Expr:
    return (projection.this if isinstance(projection, exp.Alias) else projection).unnest()


class GroupReader:
    """Turns the outputs of a grouping SELECT into expressions over the kept columns."""

    def __init__(self, keys: list[exp.Expr], types: Types, aggregate_names: set[str]) -> None:
        self.aggregates = Aggregates(keys)
        self._types = types
        self._names = aggregate_names

    def over_groups(self, node: exp.Expr) -> exp.Expr:
        """Return an expression of the SELECT list or of HAVING over the kept columns.

        Raises:
            NotIncremental: It holds an aggregate that nobody follows.
        """
        node = _bare(node)
        for number, key in enumerate(self.aggregates.keys):
            if node == key:
                return exp.column(f"mz_k{number}")
        if isinstance(node, exp.Filter):
            return self._aggregate(node.this, node.expression.this, node)
        if isinstance(node, exp.AggFunc):
            return self._aggregate(node, None, node)
        if isinstance(node, (exp.Column, exp.Subquery, exp.Select, exp.Window, exp.WithinGroup)):
            raise NotIncremental(f"{node.sql()} in a group")
        if isinstance(node, (exp.Anonymous, exp.Dot)) and node.name.lower() in self._names:
            raise NotIncremental(f"the aggregate {node.name}")
        copy = node.copy()
        for name, value in list(node.args.items()):
            if isinstance(value, exp.Expr):
                copy.set(name, self._child(value))
            elif isinstance(value, list):
                copy.set(name, [self._child(one) if isinstance(one, exp.Expr) else one for one in value])
        return copy

    def _child(self, node: exp.Expr) -> exp.Expr:
        if isinstance(node, (exp.DataType, exp.Identifier, exp.Literal, exp.Var)):
            return node.copy()
        inner = self.over_groups(node)
        return exp.paren(inner, copy=False) if isinstance(node, exp.Paren) else inner

    def _aggregate(self, call: exp.Expr, condition: exp.Expr | None, whole: exp.Expr) -> exp.Expr:
        if any(call.args.get(word) for word in ("order", "big_int_", "expressions")) or isinstance(
            call.this, exp.Distinct
        ):
            raise NotIncremental(f"{whole.sql()}")
        where = f" FILTER (WHERE {to_sql(condition)})" if condition is not None else ""
        argument = to_sql(call.this) if call.this is not None and not isinstance(call.this, exp.Star) else None
        maker = _MAKERS.get(type(call))
        if maker is None:
            raise NotIncremental(f"the aggregate {call.sql()}")
        type_name, is_float = self._types(to_sql(whole))
        final = maker(self.aggregates, argument, where, type_name, is_float)
        return exp.maybe_parse(f"CAST({final} AS {type_name})", dialect="postgres")


def _count(kept: Aggregates, argument: str | None, where: str, _type: str, _is_float: bool) -> str:
    value = "{w}" if argument is None else f"CASE WHEN ({argument}) IS NOT NULL THEN {{w}} END"
    return f"COALESCE({kept.keep(f'sum({value}){where}', 'add')}, 0)"


def _sum(kept: Aggregates, argument: str | None, where: str, _type: str, is_float: bool) -> str:
    total = kept.keep(f"sum(({argument}) * {{w}}){where}", "add", only_grows=is_float)
    return f"CASE WHEN {_count(kept, argument, where, '', False)} > 0 THEN {total} END"


def _avg(kept: Aggregates, argument: str | None, where: str, type_name: str, is_float: bool) -> str:
    total = kept.keep(f"sum(({argument}) * {{w}}){where}", "add", only_grows=is_float)
    count = _count(kept, argument, where, "", False)
    return f"CAST({total} AS {type_name}) / NULLIF({count}, 0)"


def _min(kept: Aggregates, argument: str | None, where: str, _type: str, _is_float: bool) -> str:
    return kept.keep(f"min({argument}){where}", "least", only_grows=True)


def _max(kept: Aggregates, argument: str | None, where: str, _type: str, _is_float: bool) -> str:
    return kept.keep(f"max({argument}){where}", "greatest", only_grows=True)


_MAKERS: dict[type[exp.Expr], Callable[[Aggregates, str | None, str, str, bool], str]] = {
    exp.Count: _count,
    exp.Sum: _sum,
    exp.Avg: _avg,
    exp.Min: _min,
    exp.Max: _max,
}


def merged(partial: Partial, column: str) -> str:
    """Return how what was kept and what is added make one."""
    old, new = f"old.{column}", f"delta.{column}"
    if partial.merge == "add":
        return f"COALESCE({old} + {new}, {old}, {new})"
    return f"{partial.merge.upper()}({old}, {new})"
