"""Mistakes in declared tables and views that a single model cannot see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.contracts import SEQUENCE_COLUMN, Contract
from thedata_cli.component_api.declarations import AnyDeclared, Declared
from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.components.questdb.columns import (
    TIMESTAMPS,
    WRITABLE,
    Column,
    bad_column_name,
    column_of_field,
    has_null,
)
from thedata_cli.components.questdb.ledger import LEDGER
from thedata_cli.components.questdb.mirror_problems import mirror_problems
from thedata_cli.components.questdb.retention import misfit
from thedata_cli.components.questdb.tables import (
    Feed,
    QuestDBMaterializedView,
    QuestDBTable,
    added_columns,
    columns_of,
    dedup_keys_of,
    feed_of,
    partition_of,
    timestamp_of,
)
from thedata_cli.errors import Problem

_NO_KEYS = ("BINARY", "[]")


def find_problems(project: ProjectView) -> Iterator[Problem]:
    """Yield every mistake of every declaration."""
    yield from _name_problems(project.declared)
    for declared in project.declared:
        if isinstance(declared.model, QuestDBTable):
            yield from _table_problems(declared, project)
        elif isinstance(declared.model, QuestDBMaterializedView):
            yield from _view_problems(declared, project.declared)


def _name_problems(declared: Sequence[AnyDeclared]) -> Iterator[Problem]:
    """Tables and views share their names, and case does not tell them apart."""
    first: dict[str, AnyDeclared] = {}
    for each in declared:
        name = each.model.name
        if name.lower() == LEDGER or name.lower().startswith(("sys.", "telemetry")):
            yield each.problem(["name"], f"{name!r} is a name that QuestDB or thedata uses itself", "choose another")
        other = first.setdefault(name.lower(), each)
        if other is not each:
            yield each.problem(
                ["name"], f"{name!r} is declared in {other.position} already", "names differ by more than case"
            )


def _table_problems(declared: Declared[QuestDBTable], project: ProjectView) -> Iterator[Problem]:
    table = declared.model
    contract = project.contracts.get(table.contract) if table.contract else None
    if table.contract and contract is None:
        yield declared.problem(
            ["contract"], f"there is no contract {table.contract!r}", _known(table.contract, project.contracts)
        )
        return
    bad = [reason for field in contract.fields if (reason := bad_column_name(field.name))] if contract else []
    for reason in bad:
        yield declared.problem(["contract"], reason, f"rename the field in contract {table.contract!r}")
    if bad:
        return
    feed = feed_of(table, project)
    columns = columns_of(table, contract, feed)
    if not columns.keys() - added_columns(feed):
        yield declared.problem([], "the table has no columns", "give it a `contract`, or `columns`")
        return
    yield from _column_problems(declared, contract, feed)
    yield from _timestamp_problems(declared, contract, columns)
    if isinstance(feed, ViewRoute):
        yield from mirror_problems(declared, columns, timestamp_of(table, contract), feed)
        return
    yield from _dedup_problems(declared, contract, columns, feed)
    if feed is not None:
        yield from _route_problems(declared, contract, feed)


def _column_problems(declared: Declared[QuestDBTable], contract: Contract | None, feed: Feed) -> Iterator[Problem]:
    table = declared.model
    counted = Counter(column.name.lower() for column in table.columns)
    own = {field.name: column_of_field(field).type for field in contract.fields} if contract else {}
    for index, column in enumerate(table.columns):
        if counted[column.name.lower()] > 1:
            yield declared.problem(
                ["columns", index, "name"], f"column {column.name!r} is named twice", "case does not tell columns apart"
            )
        if column.name.lower() in (SEQUENCE_COLUMN, *added_columns(feed)):
            yield declared.problem(["columns", index, "name"], f"{column.name!r} is added by pipelines", "leave it out")
        if column.type != "SYMBOL" and column.has_symbol_settings:
            yield declared.problem(
                ["columns", index],
                f"{column.type} column {column.name!r} has settings of a SYMBOL",
                "only SYMBOL has `index`, `symbol_capacity` and `symbol_cache`",
            )
        similar = [name for name in own if name.lower() == column.name.lower() and name != column.name]
        if similar:
            yield declared.problem(
                ["columns", index, "name"],
                f"{column.name!r} and {similar[0]!r} of the contract are the same column to QuestDB",
                "write it as the contract does",
            )


def _timestamp_problems(
    declared: Declared[QuestDBTable], contract: Contract | None, columns: Mapping[str, Column]
) -> Iterator[Problem]:
    table = declared.model
    timestamp = timestamp_of(table, contract)
    partition_by = partition_of(table, timestamp)
    field = contract.field(timestamp) if contract else None
    if timestamp and timestamp not in columns:
        yield declared.problem(["timestamp"], f"there is no column {timestamp!r}", _known(timestamp, columns))
    elif timestamp and columns[timestamp].type not in TIMESTAMPS:
        yield declared.problem(
            ["timestamp"],
            f"column {timestamp!r} is {columns[timestamp].type}",
            "the designated timestamp is TIMESTAMP or TIMESTAMP_NS",
        )
    elif field and (field.is_nullable or not field.is_required):
        yield declared.problem(
            ["timestamp"], f"field {timestamp!r} may be missing or null", "the designated timestamp is always there"
        )
    if not timestamp and partition_by != "none":
        yield declared.problem(
            ["partition_by"], "a table without designated timestamp has no partitions", "name a `timestamp`"
        )
    if timestamp and partition_by == "none":
        yield declared.problem(
            ["partition_by"],
            "a table with a designated timestamp needs partitions here, for its WAL",
            "`hour`, `day`, `week`, `month` or `year`",
        )
    elif reason := misfit(table.ttl, partition_by):
        yield declared.problem(["ttl"], reason, "whole partitions are dropped")


def _dedup_problems(
    declared: Declared[QuestDBTable], contract: Contract | None, columns: Mapping[str, Column], feed: Feed
) -> Iterator[Problem]:
    table = declared.model
    keys = dedup_keys_of(table, contract, feed)
    if not keys:
        return
    timestamp = timestamp_of(table, contract)
    if partition_of(table, timestamp) == "none":
        yield declared.problem(["dedup_keys"], "dedup keys need partitions", "name a `timestamp`")
    elif timestamp not in keys:
        yield declared.problem(
            ["dedup_keys"], f"the designated timestamp {timestamp!r} is not among them", f"add {timestamp!r}"
        )
    for index, key in enumerate(keys):
        if key not in columns:
            yield declared.problem(["dedup_keys", index], f"there is no column {key!r}", _known(key, columns))
        elif columns[key].type.endswith(_NO_KEYS):
            yield declared.problem(
                ["dedup_keys", index], f"{key!r} is {columns[key].type}", "which cannot be a dedup key"
            )


def _route_problems(declared: Declared[QuestDBTable], contract: Contract | None, route: Route) -> Iterator[Problem]:
    """Check that the writer can put every field of the route's contract into the table."""
    table = declared.model
    if contract is None or contract.name != route.contract.name:
        has = f"contract {contract.name!r}" if contract else "no contract"
        yield declared.problem(
            ["contract"],
            f"pipeline {route.pipeline!r} feeds contract {route.contract.name!r} into this table, which has {has}",
            f"contract: {route.contract.name}",
        )
        return
    timestamp = timestamp_of(table, contract)
    if not timestamp:
        yield declared.problem(
            ["timestamp"],
            f"pipeline {route.pipeline!r} feeds this table, which has no designated timestamp",
            "mark the event time in the contract",
        )
    elif contract.field(timestamp) is None:
        yield declared.problem(
            ["timestamp"],
            f"{timestamp!r} is no field of contract {contract.name!r}",
            "a table that a pipeline feeds takes its timestamp from the message",
        )
    positions = {column.name: index for index, column in enumerate(table.columns)}
    for field in contract.fields:
        if field.name not in positions:
            continue
        index = positions[field.name]
        column = table.columns[index]
        if column.type not in WRITABLE[field.type]:
            yield declared.problem(
                ["columns", index, "type"],
                f"{column.type} cannot hold field {field.name!r} of type {field.type}",
                f"one of {', '.join(WRITABLE[field.type])}",
            )
        elif (field.is_nullable or not field.is_required) and not has_null(column.type):
            yield declared.problem(
                ["columns", index, "type"],
                f"{column.type} has no null, and field {field.name!r} may be null",
                f"one of {', '.join(filter(has_null, WRITABLE[field.type]))}",
            )


def _view_problems(
    declared: Declared[QuestDBMaterializedView], all_declared: Sequence[AnyDeclared]
) -> Iterator[Problem]:
    view = declared.model
    others = {each.model.name: each.model for each in all_declared if each is not declared}
    base = others.get(view.base)
    if base is None:
        yield declared.problem(
            ["base"], f"there is no QuestDB table or materialized view {view.base!r}", _known(view.base, others)
        )
    if view.partition_by == "none":
        yield declared.problem(
            ["partition_by"], "a materialized view has partitions", "`hour`, `day`, `week`, `month` or `year`"
        )
    elif view.partition_by and (reason := misfit(view.ttl, view.partition_by)):
        yield declared.problem(["ttl"], reason, "whole partitions are dropped")


def _known(name: str, names: Mapping[str, object]) -> str:
    """Name the one that was meant, or all that there are."""
    close = get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(sorted(names))}" if names else "none is declared"
