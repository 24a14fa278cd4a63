"""What a project declares of QuestDB: tables and materialized views, and the resources they become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.contracts import SEQUENCE_COLUMN, Contract
from thedata_cli.component_api.declarations import Declaration, Declared, Model, Name
from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.component_api.views import DELETED_COLUMN, VERSION_COLUMN
from thedata_cli.components.questdb.columns import Column, column_of_field
from thedata_cli.components.questdb.retention import PartitionBy, Ttl
from thedata_cli.components.questdb.sql_text import plain_query, words
from thedata_cli.plan.resources import JsonValue, Resource, ResourceId, Spec


class QuestDBTable(Declaration):
    """A QuestDB table."""

    engine: Literal["questdb"]
    """The component that has it."""

    kind: Literal["table"] = "table"
    """What it is."""

    contract: Name | None = None
    """Contract whose fields become columns, in its order."""

    columns: tuple[Column, ...] = ()
    """Further columns; one with the name of a contract's field sets the type of that column. Those of the view where
    one feeds the table."""

    timestamp: str | None = None
    """The designated timestamp; the contract's event time when not given."""

    partition_by: PartitionBy | None = None
    """Size of a partition; `day` when there is a timestamp, else `none`."""

    dedup_keys: tuple[str, ...] | None = None
    """Columns of which no two rows are alike, the timestamp among them; `[]` keeps duplicates. Not given: the timestamp
    and the contract's key; for a table that a stream feeds, without such a key, the timestamp and the sequence; for one
    that a view feeds the key of its pipeline."""

    ttl: Ttl = ""
    """How long rows stay, in whole partitions: `12h`, `30d`, `2w`, `6M` (months) or `1y`; `0h` means for ever."""


class RefreshEvery(Model):
    """Refresh of a materialized view by the clock."""

    every: Annotated[str, Field(pattern=r"^[1-9]\d{0,3}[mhdwMy]$")]
    """Interval: a number and `m`, `h`, `d`, `w`, `M` (months) or `y`, such as `10m`."""


class QuestDBMaterializedView(Declaration):
    """A QuestDB materialized view: the rows of a table, summed up by time, kept up to date by the server."""

    engine: Literal["questdb"]
    """The component that has it."""

    kind: Literal["materialized_view"]
    """What it is."""

    base: Name
    """Table or materialized view whose changes refresh this one."""

    query: Annotated[str, Field(min_length=1)]
    """A SELECT with SAMPLE BY, or GROUP BY time."""

    refresh: Literal["immediate", "manual"] | RefreshEvery = "immediate"
    """When new rows of the base arrive, when somebody asks, or by the clock."""

    partition_by: PartitionBy | None = None
    """Size of a partition; the server chooses one that fits the query when not given."""

    ttl: Ttl = ""
    """How long rows stay, in whole partitions: `12h`, `30d`, `2w`, `6M` (months) or `1y`; `0h` means for ever."""


def table_id(name: str) -> ResourceId:
    """Return the identity of a table."""
    return ResourceId("questdb", "table", name)


def view_id(name: str) -> ResourceId:
    """Return the identity of a materialized view."""
    return ResourceId("questdb", "materialized_view", name)


Feed = Route | ViewRoute | None
"""What feeds a table, if anything does."""


def feed_of(table: QuestDBTable, project: ProjectView) -> Feed:
    """Return the route that feeds a table."""
    feeds: tuple[Route | ViewRoute, ...] = (*project.routes, *project.view_routes)
    return next((feed for feed in feeds if feed.target == table_id(table.name)), None)


def added_columns(feed: Feed) -> Mapping[str, Column]:
    """Return the columns that a table has because a pipeline feeds it."""
    types = {}
    if isinstance(feed, Route):
        types = {SEQUENCE_COLUMN: "LONG"}
    elif isinstance(feed, ViewRoute):
        types = {VERSION_COLUMN: "LONG", DELETED_COLUMN: "BOOLEAN"}
    return {name: Column(name=name, type=type_) for name, type_ in types.items()}


def columns_of(table: QuestDBTable, contract: Contract | None, feed: Feed) -> dict[str, Column]:
    """Return every column of a declared table, by name: the contract's, then its own, then those of its pipeline."""
    columns = {field.name: column_of_field(field) for field in contract.fields} if contract else {}
    columns.update({column.name: column for column in table.columns})
    return {**columns, **added_columns(feed)}


def timestamp_of(table: QuestDBTable, contract: Contract | None) -> str:
    """Return the name of the designated timestamp; empty when there is none."""
    if table.timestamp is not None:
        return table.timestamp
    return contract.event_time if contract else ""


def partition_of(table: QuestDBTable, timestamp: str) -> PartitionBy:
    """Return the size of a partition, the default filled in."""
    return table.partition_by or ("day" if timestamp else "none")


def dedup_keys_of(table: QuestDBTable, contract: Contract | None, feed: Feed) -> tuple[str, ...]:
    """Return the dedup keys, the default filled in."""
    if table.dedup_keys is not None:
        return table.dedup_keys
    timestamp = timestamp_of(table, contract)
    if not timestamp or partition_of(table, timestamp) == "none":
        return ()
    if isinstance(feed, ViewRoute):
        return feed.key
    if contract and contract.key:
        return (timestamp, *contract.key)
    return (timestamp, SEQUENCE_COLUMN) if feed else ()


def table_resource(
    declared: Declared[QuestDBTable], contract: Contract | None, feed: Feed, *, project: str
) -> Resource:
    """Return the table as the server would give it back; `managed_by` tells its kind whose mark to set."""
    table = declared.model
    timestamp = timestamp_of(table, contract)
    partition_by = partition_of(table, timestamp)
    columns = columns_of(table, contract, feed)
    spec: Spec = {
        "columns": {name: column.spec for name, column in columns.items()},
        "timestamp": timestamp,
        "partition_by": partition_by,
        "wal": partition_by != "none",
        "dedup_keys": sorted(set(dedup_keys_of(table, contract, feed))),
        "ttl": table.ttl,
    }
    return Resource(table_id(table.name), spec, position=declared.position, managed_by=project)


def view_resource(declared: Declared[QuestDBMaterializedView], base: Resource | None, *, project: str) -> Resource:
    """Return the materialized view as the server would give it back.

    Args:
        declared: The declaration.
        base: Its base when that is a declared table: the types of the columns it reads are part of the view.
        project: Whose mark its kind sets.
    """
    view = declared.model
    spec: dict[str, JsonValue] = {
        "base": view.base,
        "query": plain_query(view.query),
        "refresh": view.refresh if isinstance(view.refresh, str) else f"every {view.refresh.every}",
        "ttl": view.ttl,
        "status": "valid",
    }
    if view.partition_by:
        spec["partition_by"] = view.partition_by
    if base is not None:
        spec["reads"] = columns_read(view.query, base.spec)
    depends_on = base.id if base is not None else view_id(view.base)
    return Resource(
        view_id(view.name),
        spec,
        depends_on=(depends_on,),
        is_rebuilt_with_dependencies=True,
        position=declared.position,
        managed_by=project,
    )


def columns_read(query: str, base: Spec) -> Mapping[str, JsonValue]:
    """Return the columns of the base that a query names, with their types."""
    named = words(query)
    columns = base["columns"]
    assert isinstance(columns, Mapping)
    return {
        name: column["type"]
        for name, column in columns.items()
        if name.lower() in named and isinstance(column, Mapping)
    }
