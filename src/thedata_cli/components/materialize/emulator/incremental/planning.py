"""Makes the plan of a view, with the backend as judge of what its SQL means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from thedata_cli.components.materialize.emulator.catalog import Catalog, CatalogObject
from thedata_cli.components.materialize.emulator.incremental.first_plan import FirstOfManyPlan, FirstPlan
from thedata_cli.components.materialize.emulator.incremental.grouped import (
    Aggregates,
    GroupReader,
    Partial,
    read_grouping,
)
from thedata_cli.components.materialize.emulator.incremental.grouped_plan import GroupedPlan
from thedata_cli.components.materialize.emulator.incremental.join_keys import make_indexes
from thedata_cli.components.materialize.emulator.incremental.kept_rows import KeptRows, key_columns
from thedata_cli.components.materialize.emulator.incremental.plan import Plan, WholePlan
from thedata_cli.components.materialize.emulator.incremental.sources import (
    Leaf,
    NotIncremental,
    check_linear,
    expand,
    restored,
    to_sql,
)
from thedata_cli.components.materialize.emulator.incremental.temporal import lift_filters, reads_time
from thedata_cli.components.materialize.emulator.incremental.temporal_rows import TemporalRows, make_tables
from thedata_cli.components.materialize.emulator.statements import MATERIALIZED_VIEW
from thedata_cli.components.materialize.emulator.storage import DIFF

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_PROBE = "mz_emulator.mz_probe"


async def make_plan(connection: AsyncConnection[Any], catalog: Catalog, view: CatalogObject) -> Plan | None:
    """Return the plan of a materialized view; None if its structure allows none."""
    if DIFF in view.columns:
        return None
    try:
        async with connection.transaction(force_rollback=True):
            await connection.execute("SET LOCAL search_path = mz_catalog")
            return await _plan(connection, catalog, view)
    except (NotIncremental, SqlglotError, psycopg.Error):
        return None


async def _plan(connection: AsyncConnection[Any], catalog: Catalog, view: CatalogObject) -> Plan:
    tree, leaves = await read_view(connection, catalog, view)
    if any(DIFF in leaf.object.columns for leaf in leaves):
        raise NotIncremental(f"a column is named {DIFF}")
    temporal = lift_filters(tree, leaves, view) if view.definition.get("reads_time") else []
    await make_tables(connection, view.id, temporal)
    plan = await _plan_of_rest(connection, view, tree, leaves, temporal)
    plan.temporal, plan.reads_time = temporal, reads_time(tree)
    plan.indexes = await make_indexes(connection, plan.body, leaves)
    return plan


async def _plan_of_rest(
    connection: AsyncConnection[Any],
    view: CatalogObject,
    tree: exp.Expr,
    leaves: list[Leaf],
    temporal: Sequence[TemporalRows],
) -> Plan:
    """Return the plan of a query out of which its temporal filters are taken."""
    whole = tree.copy()
    try:
        if reads_time(tree):
            raise NotIncremental("mz_now() is not in a temporal filter")
        async with connection.transaction():
            return await _Planner(connection, view, leaves).plan(tree)
    except (NotIncremental, psycopg.Error):
        if not temporal:
            raise
        return WholePlan(view, whole, leaves)


async def read_view(
    connection: AsyncConnection[Any], catalog: Catalog, view: CatalogObject
) -> tuple[exp.Expr, list[Leaf]]:
    """Return a view's query down to the collections that it reads; the search path must be `mz_catalog`.

    Raises:
        NotIncremental: It is not understood.
    """
    texts: dict[str, str] = {}
    for one in [view, *_views_below(catalog, view)]:
        relation = one.stored_as("_def") if one.kind == MATERIALIZED_VIEW else one.qualified
        texts[one.id] = await _checked_text(connection, relation)
    by_name = {
        (("mz_emulator", one.id) if one.is_temporary else (one.schema_name, one.name)): one
        for one in catalog.objects.values()
        if one.relation is not None
    }
    leaves: list[Leaf] = []
    tree = expand(texts[view.id], lambda schema, name: by_name.get((schema, name)), texts.__getitem__, leaves)
    return tree, leaves


def _views_below(catalog: Catalog, view: CatalogObject) -> list[CatalogObject]:
    found: dict[str, CatalogObject] = {}
    waiting = list(view.references)
    while waiting:
        one = catalog.objects.get(waiting.pop())
        if one is not None and one.kind == "view" and one.id not in found:
            found[one.id] = one
            waiting += one.references
    return list(found.values())


async def _checked_text(connection: AsyncConnection[Any], relation: str) -> str:
    """Return a view's query, if writing what was read of it gives the same view."""
    text = await _definition(connection, relation)
    written = to_sql(parse_one(text, dialect="postgres"))
    await connection.execute(f"CREATE VIEW {_PROBE} AS {written}".encode())
    again = await _definition(connection, _PROBE)
    await connection.execute(f"DROP VIEW {_PROBE}".encode())
    if again != text:
        raise NotIncremental("the query is not understood")
    return text


async def _definition(connection: AsyncConnection[Any], relation: str) -> str:
    row = await (await connection.execute("SELECT pg_get_viewdef(%s::regclass)", [relation])).fetchone()
    return str(row[0]).strip().removesuffix(";") if row else ""


class _Planner:
    """The plan of one view."""

    def __init__(self, connection: AsyncConnection[Any], view: CatalogObject, leaves: list[Leaf]) -> None:
        self._connection = connection
        self._view = view
        self._leaves = leaves

    async def plan(self, tree: exp.Expr) -> Plan:
        if isinstance(tree, exp.Union):
            return Plan(self._view, tree, self._leaves)
        if not isinstance(tree, exp.Select):
            raise NotIncremental(type(tree).__name__)
        for word in ("limit", "offset", "with", "with_", "windows"):
            if tree.args.get(word):
                raise NotIncremental(word)
        distinct = tree.args.get("distinct")
        if distinct is not None and distinct.args.get("on") is not None:
            return await self._first(tree)
        tree.set("order", None)
        keys = read_grouping(tree)
        if keys is None:
            check_linear(tree)
            return Plan(self._view, tree, self._leaves)
        return await self._grouped(tree, keys)

    async def _first(self, tree: exp.Select) -> Plan:
        on = tree.args["distinct"].args["on"]
        keys = [one.unnest() for one in (on.expressions if isinstance(on, exp.Tuple) else [on.unnest()])]
        ordered = tree.args["order"].expressions if tree.args.get("order") else []
        rest = [one for one in ordered if one.this.unnest() not in keys]
        body = _bare_body(tree)
        names = [(f"mz_k{at}", key) for at, key in enumerate(keys)]
        names += [(f"mz_o{at}", one.this) for at, one in enumerate(rest)]
        names += [
            (f"mz_c{at}", one.this if isinstance(one, exp.Alias) else one) for at, one in enumerate(tree.expressions)
        ]
        body.set("expressions", [exp.alias_(node.copy(), name) for name, node in names])
        order = [f"mz_o{at}{_direction(one)}" for at, one in enumerate(rest)]
        check_linear(body)
        plan = FirstOfManyPlan if self._can_shrink() else FirstPlan
        return plan(self._view, body, self._leaves, keys=len(keys), order=order)

    def _can_shrink(self) -> bool:
        return not all(leaf.object.is_webhook for leaf in self._leaves)

    async def _grouped(self, tree: exp.Select, keys: list[exp.Expr]) -> Plan:
        probe = _bare_body(tree)
        types = await self._aggregate_types(tree, probe, keys)
        reader = GroupReader(keys, types, await self._aggregate_names())
        outputs = [to_sql(reader.over_groups(one)) for one in tree.expressions]
        having = tree.args.get("having")
        condition = to_sql(reader.over_groups(having.this)) if having else None
        body = _bare_body(tree)
        columns = [exp.alias_(key.copy(), f"mz_k{at}") for at, key in enumerate(keys)]
        inputs = _Inputs()
        partials = {
            name: Partial(inputs.named(one.sql), one.merge, one.only_grows)
            for name, one in reader.aggregates.partials.items()
        }
        columns += [exp.alias_(parse_one(sql, dialect="postgres"), name) for sql, name in inputs.names.items()]
        body.set("expressions", columns or [exp.alias_(exp.Literal.number(1), "mz_one")])
        check_linear(body)
        rows = None
        if reader.aggregates.only_grows and self._can_shrink():
            read = inputs.read_by(one.sql for one in partials.values() if one.only_grows)
            rows = KeptRows(self._view.stored_as("_rows"), key_columns(len(keys)), read)
        return GroupedPlan(
            self._view, body, self._leaves,
            aggregates=Aggregates(keys, partials), outputs=outputs, having=condition, rows=rows,
        )  # fmt: skip

    async def _aggregate_types(self, tree: exp.Select, probe: exp.Select, keys: list[exp.Expr]) -> Any:
        """Ask the backend for the type of each aggregate of the query."""
        having = tree.args.get("having")
        scopes = [*tree.expressions, *([having.this] if having else [])]
        calls: dict[str, str] = {}
        for scope in scopes:
            for call in scope.find_all(exp.AggFunc):
                whole = call.parent if isinstance(call.parent, exp.Filter) else call
                calls.setdefault(to_sql(whole), f"mz_a{len(calls)}")
        if not calls:
            return lambda _sql: ("text", False)
        probe.set("expressions", [exp.alias_(parse_one(sql, dialect="postgres"), name) for sql, name in calls.items()])
        if keys:
            probe.set("group", exp.Group(expressions=[key.copy() for key in keys]))
        sql = to_sql(restored(probe, self._leaves))
        await self._connection.execute(f"CREATE VIEW {_PROBE} AS {sql}".encode())
        cursor = await self._connection.execute(_TYPES, [_PROBE])
        found = {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}
        await self._connection.execute(f"DROP VIEW {_PROBE}".encode())
        return lambda text: found[calls[text]]

    async def _aggregate_names(self) -> set[str]:
        cursor = await self._connection.execute("SELECT DISTINCT proname::text FROM pg_proc WHERE prokind <> 'f'")
        return {row[0] for row in await cursor.fetchall()}


class _Inputs:
    """The arguments of aggregates, as columns of the rows that are grouped."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def named(self, aggregate: str) -> str:
        """Exchange the columns of the query in an aggregate for the columns of its rows."""
        tree = parse_one(aggregate.replace("{w}", "mz_w_here"), dialect="postgres")
        for column in list(tree.find_all(exp.Column)):
            if column.name == "mz_w_here":
                continue
            name = self.names.setdefault(to_sql(column), f"mz_i{len(self.names)}")
            column.replace(exp.column(name))
        return to_sql(tree).replace("mz_w_here", "{w}")

    def read_by(self, aggregates: Iterable[str]) -> list[str]:
        """Return the columns of the rows that some of the aggregates read."""
        trees = [parse_one(sql.replace("{w}", "mz_w_here"), dialect="postgres") for sql in aggregates]
        read = {column.name for tree in trees for column in tree.find_all(exp.Column)}
        return [name for name in self.names.values() if name in read]


def _bare_body(tree: exp.Select) -> exp.Select:
    """Return FROM and WHERE of a SELECT, to be given other columns."""
    body = tree.copy()
    for word in ("distinct", "group", "having", "order"):
        body.set(word, None)
    return body


def _direction(one: exp.Ordered) -> str:
    # In SQL of PostgreSQL, nulls come last when ascending and first when descending, unless the text says otherwise.
    nulls = " NULLS FIRST" if one.args.get("nulls_first") else " NULLS LAST"
    return (" DESC" if one.args.get("desc") else " ASC") + nulls


_TYPES = """
SELECT attname::text, format_type(atttypid, NULL), atttypid IN ('float4'::regtype, 'float8'::regtype)
FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0
"""
