"""Finds the row on which a view fails, by computing the view over fewer and fewer rows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from thedata_cli.components.materialize.emulator.catalog import Catalog, CatalogObject
from thedata_cli.components.materialize.emulator.incremental.planning import read_view
from thedata_cli.components.materialize.emulator.incremental.sources import Leaf, NotIncremental, restored, to_sql
from thedata_cli.components.materialize.emulator.storage import DIFF, TIMESTAMP, column_list

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_LIMIT_S = 2.0
_LONGEST_ROW = 1000


async def find_offender(
    connection: AsyncConnection[Any], catalog: Catalog, view: CatalogObject, after: int, until: int
) -> str | None:
    """Return a sentence with the row that a view fails on; None if none of the new rows is, or it takes too long.

    Args:
        connection: A connection in a transaction.
        catalog: The catalog.
        view: The view that fails.
        after: Rows up to this time were computed without an error.
        until: The time of the failure.
    """
    try:
        async with connection.transaction(force_rollback=True):
            await connection.execute("SET LOCAL search_path = mz_catalog")
            tree, leaves = await read_view(connection, catalog, view)
            search = _Search(connection, tree, leaves, time.monotonic() + _LIMIT_S)
            for leaf in leaves:
                found = await search.row_of(leaf, _new_rows(leaf.object, after, until))
                if found is not None:
                    return f"The row of {leaf.object.full_name} is {found[:_LONGEST_ROW]}"
    except (NotIncremental, SqlglotError, psycopg.Error, TimeoutError):
        return None
    return None


def _new_rows(one: CatalogObject, after: int, until: int) -> str:
    columns = column_list(one.columns)
    span = f"{TIMESTAMP} > {after} AND {TIMESTAMP} <= {until}"
    if one.is_webhook:
        return f"SELECT {columns}, row_number() OVER (ORDER BY ctid) AS mz_row FROM {one.stored_as()} WHERE {span}"
    where = f"{span} AND {DIFF} > 0"
    return f"SELECT {columns}, row_number() OVER (ORDER BY ctid) AS mz_row FROM {one.stored_as('_log')} WHERE {where}"


class _Search:
    """The search in one view."""

    def __init__(self, connection: AsyncConnection[Any], tree: exp.Expr, leaves: list[Leaf], deadline: float) -> None:
        self._connection = connection
        self._tree = tree
        self._leaves = leaves
        self._deadline = deadline

    async def row_of(self, leaf: Leaf, rows: str) -> str | None:
        """Return the first row of a leaf that makes the view fail, as JSON."""
        low, high = 0, await self._value(f"SELECT count(*) FROM ({rows}) AS mz_rows")
        if not high or not await self._fails(leaf, rows, 0, high):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            if await self._fails(leaf, rows, low, middle):
                high = middle
            else:
                low = middle
        return str(
            await self._value(
                f"SELECT (to_jsonb(mz_rows) - 'mz_row')::text FROM ({rows}) AS mz_rows WHERE mz_row = {high}"
            )
        )

    async def _value(self, sql: str) -> Any:
        row = await (await self._connection.execute(sql.encode())).fetchone()
        return row[0] if row else None

    async def _fails(self, leaf: Leaf, rows: str, low: int, high: int) -> bool:
        if time.monotonic() > self._deadline:
            raise TimeoutError
        columns = column_list(leaf.object.columns)
        part = f"SELECT {columns} FROM ({rows}) AS mz_rows WHERE mz_row > {low} AND mz_row <= {high}"
        copy = self._tree.copy()
        for table in list(copy.find_all(exp.Table)):
            if table.name == leaf.marker:
                subquery = exp.Subquery(this=parse_one(part, dialect="postgres"), alias=table.args["alias"].copy())
                subquery.set("joins", table.args.get("joins"))
                table.replace(subquery)
        # As text every column of every row is computed; to count them alone none would have to be.
        sql = f"SELECT count(mz_all::text) FROM ({to_sql(restored(copy, self._leaves))}) AS mz_all"
        try:
            async with self._connection.transaction():
                await self._connection.execute(sql.encode())
        except psycopg.errors.DataError:
            return True
        return False
