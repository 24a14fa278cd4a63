"""The columns by which the materialized views below a view are joined: a few changes need not read all the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from thedata_cli.components.materialize.emulator.catalog import CatalogObject
from thedata_cli.components.materialize.emulator.incremental.sources import Leaf
from thedata_cli.components.materialize.emulator.statements import MATERIALIZED_VIEW
from thedata_cli.components.materialize.emulator.storage import column_list
from thedata_cli.components.materialize.emulator.tokens import quote_name

if TYPE_CHECKING:
    from psycopg import AsyncConnection


async def make_indexes(connection: AsyncConnection[Any], tree: exp.Expr, leaves: list[Leaf]) -> list[str]:
    """Return what makes indexes on the join keys of each materialized view in a query."""
    objects = {leaf.marker: leaf.object for leaf in leaves if leaf.object.kind == MATERIALIZED_VIEW}
    made: dict[str, None] = {}
    for select in tree.find_all(exp.Select):
        for table in _tables_of(select) if select.args.get("joins") else ():
            one = objects.get(table.name)
            keyed = {name for alias, name in _equated(select) if alias in (table.alias_or_name, "")}
            if one is not None and keyed & set(one.columns):
                short = await _short_columns(connection, one)
                made |= dict.fromkeys(_indexes_on(one, [name for name in one.columns if name in keyed], short))
    return list(made)


def _indexes_on(one: CatalogObject, keys: list[str], short: set[str]) -> Iterator[str]:
    # A value that is too long for a B-tree would stop the view that holds it; hashes have one length.
    kinds = [("btree", [name for name in keys if name in short])]
    kinds += [("hash", [name]) for name in keys if name not in short]
    for kind, columns in kinds:
        if columns:
            name = quote_name("_".join([one.id, "by", *(str(one.columns.index(column)) for column in columns)]))
            yield f"CREATE INDEX IF NOT EXISTS {name} ON {one.stored_as()} USING {kind} ({column_list(columns)})"


async def _short_columns(connection: AsyncConnection[Any], one: CatalogObject) -> set[str]:
    sql = "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND attlen > 0"
    return {row[0] for row in await (await connection.execute(sql, [one.stored_as()])).fetchall()}


def _tables_of(select: exp.Select) -> Iterator[exp.Table]:
    for table in select.find_all(exp.Table):
        if table.find_ancestor(exp.Select) is select:
            yield table


def _equated(select: exp.Select) -> Iterator[tuple[str, str]]:
    """Yield the columns, each with its table's name, that the query compares with something for equality."""
    for comparison in select.find_all(exp.EQ):
        for side in (comparison.this.unnest(), comparison.expression.unnest()):
            if isinstance(side, exp.Column):
                yield side.table, side.name
    for join in select.find_all(exp.Join):
        for name in join.args.get("using") or []:
            yield "", name.name
