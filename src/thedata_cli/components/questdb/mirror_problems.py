"""Mistakes in a table that a view feeds, as they show without a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from thedata_cli.component_api.declarations import Declared
from thedata_cli.component_api.routes import ViewRoute
from thedata_cli.components.questdb.columns import Column
from thedata_cli.components.questdb.mirror_columns import is_key_type
from thedata_cli.components.questdb.tables import QuestDBTable, added_columns
from thedata_cli.errors import Problem


def mirror_problems(
    declared: Declared[QuestDBTable], columns: Mapping[str, Column], timestamp: str, route: ViewRoute
) -> Iterator[Problem]:
    """Yield what keeps a table from being kept equal to a view.

    Args:
        declared: The table.
        columns: All of its columns.
        timestamp: Its designated timestamp; empty when there is none.
        route: What feeds it.
    """
    table, pipeline = declared.model, f"pipeline {route.pipeline!r}"
    own = {column.name: ("columns", index) for index, column in enumerate(table.columns)}
    key = f"[{', '.join(route.key)}]"
    if timestamp not in route.key:
        message = f"{timestamp!r} is not in the key of {pipeline}" if timestamp else "there is no designated timestamp"
        yield declared.problem(["timestamp"], message, f"one of {key}: rows replace each other by time and key")
    if table.dedup_keys is not None and set(table.dedup_keys) != set(route.key):
        yield declared.problem(
            ["dedup_keys"], f"they must be the key of {pipeline}: rows that share it replace each other", key
        )
    for name in route.key:
        path: tuple[str | int, ...] = own.get(name, ("columns",))
        if name not in columns or name in added_columns(route):
            yield declared.problem(
                path, f"no column for {name!r}, which is in the key of {pipeline}", "declare the columns of the view"
            )
        elif not is_key_type(columns[name].type):
            yield declared.problem(
                (*path, "type") if name in own else ["contract"],
                f"{name!r} is in the key of {pipeline}, and values of {columns[name].type} cannot be told apart",
                "a type whose values are exact",
            )
