"""Mistakes in a table that a view feeds, as they show without a server."""

from __future__ import annotations

import re
from collections.abc import Iterator

from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.declarations import Declared
from thedata_cli.component_api.routes import ViewRoute
from thedata_cli.components.clickhouse.tables import (
    MIRROR_ENGINE,
    ClickHouseTable,
    added_columns,
    column_specs,
    engine_of,
)
from thedata_cli.errors import Problem

_NO_KEY_TYPES = (("Nullable(", "may be null"), ("Float", "is rounded"), ("BFloat", "is rounded"))


def mirror_problems(
    declared: Declared[ClickHouseTable], contract: Contract | None, route: ViewRoute
) -> Iterator[Problem]:
    """Yield what keeps a table from being kept equal to a view."""
    yield from _engine_problems(declared, route)
    yield from _key_problems(declared, contract, route)
    if declared.model.partition_by is not None:
        yield declared.problem(
            ("partition_by",), "a table that a view feeds has no partitions: a reader could see half of a change",
            "leave it out",
        )  # fmt: skip
    if declared.model.ttl is not None:
        yield declared.problem(
            ("ttl",), "a table that a view feeds has no TTL: its rows go when they leave the view",
            "leave it out, and say in the view which rows it has",
        )  # fmt: skip


def _engine_problems(declared: Declared[ClickHouseTable], route: ViewRoute) -> Iterator[Problem]:
    engine = engine_of(declared.model, route)
    if re.sub(r"[\s`]", "", engine) != re.sub(r"\s", "", MIRROR_ENGINE):
        yield declared.problem(
            ("table_engine",), f"pipeline {route.pipeline!r} keeps this table equal to a view, and {engine} does not "
            "know which row of a key is the last, and whether it is gone", MIRROR_ENGINE,
        )  # fmt: skip


def _key_problems(
    declared: Declared[ClickHouseTable], contract: Contract | None, route: ViewRoute
) -> Iterator[Problem]:
    table = declared.model
    columns = {name: spec for name, spec in column_specs(table, contract, route).items() if isinstance(spec, dict)}
    own = {column.name: ("columns", index) for index, column in enumerate(table.columns)}
    for name in route.key:
        path: tuple[str | int, ...] = own.get(name, ("columns",))
        if name not in columns or name in added_columns(route):
            yield declared.problem(
                path, f"no column for {name!r}, which is in the key of pipeline {route.pipeline!r}",
                "declare the columns of the view",
            )  # fmt: skip
            continue
        type_name, default = str(columns[name]["type"]), str(columns[name]["default"])
        for word, reason in _NO_KEY_TYPES:
            if re.search(rf"\b{re.escape(word)}", type_name):
                yield declared.problem(
                    (*path, "type") if name in own else ("contract",),
                    f"{name!r} is in the key of pipeline {route.pipeline!r}, and {type_name} {reason}",
                    "a type whose values are exact and always there",
                )
        if default.startswith(("MATERIALIZED", "ALIAS")):
            yield declared.problem(path, f"{name!r} is in the key of pipeline {route.pipeline!r}, and is computed")
    if table.order_by is not None and sorted(text.strip("`") for text in table.order_by) != sorted(route.key):
        yield declared.problem(
            ("order_by",), f"the sorting key must be the key of pipeline {route.pipeline!r}: rows that share it "
            "replace each other", f"[{', '.join(route.key)}], in any order",
        )  # fmt: skip
