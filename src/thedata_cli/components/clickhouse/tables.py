"""What a user declares in `tables/`: ClickHouse tables and views, and the specs they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from thedata_cli.component_api.contracts import SEQUENCE_COLUMN, Contract
from thedata_cli.component_api.declarations import Declaration, Declared, Model, Name
from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.component_api.views import DELETED_COLUMN, VERSION_COLUMN
from thedata_cli.components.clickhouse.column_types import DELETED_TYPE, SEQUENCE_TYPE, VERSION_TYPE, column_type
from thedata_cli.components.clickhouse.sql import quoted
from thedata_cli.errors import SourcePosition
from thedata_cli.plan.resources import JsonValue

ENGINES = (
    "MergeTree", "ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree", "CoalescingMergeTree",
    "CollapsingMergeTree", "VersionedCollapsingMergeTree", "Memory", "Log", "TinyLog", "StripeLog", "Null",
)  # fmt: skip
"""Table engines that can be declared. Replicated and external ones need servers that a stack of one machine has not."""

FED_ENGINES = ("MergeTree", "ReplacingMergeTree")
"""Engines that keep a row as it was inserted, so that a pipeline can recognise what is already there."""


MIRROR_ENGINE = f"ReplacingMergeTree({VERSION_COLUMN}, {DELETED_COLUMN})"
"""The engine of a table that is kept equal to a view: the last row of a key counts, unless it says that it is gone."""


def _no_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text.strip()


Expression = Annotated[str, AfterValidator(_no_blank)]
"""A SQL expression over the table's columns; the server checks it when the plan is made."""


class ClickHouseColumn(Model):
    """A column of the engine's own type."""

    name: Annotated[str, Field(min_length=1, max_length=127, pattern=r"^[^\x00-\x1f`\\.]+$")]
    """Name of the column; that of a contract's field overrides the column the contract makes."""

    type: Expression
    """Any column type of ClickHouse, such as `Decimal(10, 2)`."""

    default: Expression | None = None
    """Expression for rows that bring no value."""

    materialized: Expression | None = None
    """Expression that is always computed on insert, and stored."""

    alias: Expression | None = None
    """Expression that is computed on read."""

    codec: Expression | None = None
    """Compression, such as `Delta, ZSTD`."""

    comment: str = ""
    """Kept with the column."""

    @model_validator(mode="after")
    def _at_most_one_default(self) -> ClickHouseColumn:
        if len([value for value in (self.default, self.materialized, self.alias) if value]) > 1:
            raise ValueError("only one of `default`, `materialized` and `alias` can be set")
        if self.alias and self.codec:
            raise ValueError("a column with `alias` is not stored and takes no `codec`")
        return self

    @property
    def default_clause(self) -> str:
        """The DEFAULT, MATERIALIZED or ALIAS clause; empty when there is none."""
        for word, value in (("DEFAULT", self.default), ("MATERIALIZED", self.materialized), ("ALIAS", self.alias)):
            if value:
                return f"{word} {value}"
        return ""


class ClickHouseTable(Declaration):
    """A ClickHouse table."""

    engine: Literal["clickhouse"]
    kind: Literal["table"] = "table"

    contract: Name | None = None
    """Contract whose fields become the first columns."""

    columns: tuple[ClickHouseColumn, ...] = ()
    """Further columns, or other types for columns of the contract; those of the view that feeds the table."""

    table_engine: Expression = "MergeTree"
    """Table engine with its arguments, such as `ReplacingMergeTree(_sequence)`; by default
    `ReplacingMergeTree(_version, _deleted)` for a table that a view feeds."""

    order_by: tuple[Expression, ...] | None = None
    """Sorting key; by default the key of the pipeline's view, else the contract's key, else its event time."""

    primary_key: tuple[Expression, ...] | None = None
    """Prefix of the sorting key that is kept in memory; by default all of it."""

    partition_by: Expression | None = None
    """Partition key, such as `toYYYYMM(scheduled_at)`."""

    ttl: Expression | None = None
    """When rows are deleted, such as `scheduled_at + INTERVAL 30 DAY`."""

    settings: Mapping[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], bool | int | float | str] = {}
    """Settings of the table engine."""

    comment: str = ""
    """Kept with the table."""

    @property
    def engine_name(self) -> str:
        """The table engine without its arguments."""
        return self.table_engine.partition("(")[0].strip()

    @property
    def is_merge_tree(self) -> bool:
        """Whether the engine has keys, partitions and settings."""
        return self.engine_name.endswith("MergeTree")


class ClickHouseView(Declaration):
    """A ClickHouse view: a query with a name, computed when it is read."""

    engine: Literal["clickhouse"]
    kind: Literal["view"]

    query: Expression
    """The SELECT; tables without a database are those of the project."""

    comment: str = ""
    """Kept with the view."""


DEFAULT_SETTINGS = {"index_granularity": "8192", "non_replicated_deduplication_window": "1000"}
"""The window lets the server drop a batch that a pipeline sends twice; without it nothing is recognised."""


def key_text(expressions: Sequence[str]) -> str:
    """Return a key as the server writes it.

    Example:
        >>> key_text(["a", "b"]), key_text(["a"]), key_text([])
        ('(a, b)', 'a', 'tuple()')
    """
    if not expressions:
        return "tuple()"
    return expressions[0] if len(expressions) == 1 else f"({', '.join(expressions)})"


Feed = Route | ViewRoute | None
"""What feeds a table, if anything does."""


def engine_of(table: ClickHouseTable, feed: Feed) -> str:
    """Return the table engine, the default filled in."""
    is_declared = "table_engine" in table.model_fields_set
    return MIRROR_ENGINE if isinstance(feed, ViewRoute) and not is_declared else table.table_engine


def added_columns(feed: Feed) -> Mapping[str, str]:
    """Return the columns that a table has because a pipeline feeds it, with their types."""
    if isinstance(feed, Route):
        return {SEQUENCE_COLUMN: SEQUENCE_TYPE}
    return {VERSION_COLUMN: VERSION_TYPE, DELETED_COLUMN: DELETED_TYPE} if feed else {}


def _default_order(contract: Contract | None, feed: Feed) -> tuple[str, ...]:
    """Return the sorting key of a table that declares none."""
    if isinstance(feed, ViewRoute):
        return tuple(quoted(name) for name in feed.key)
    if contract is None:
        return ()
    names = contract.key or ((contract.event_time,) if contract.event_time else ())
    return tuple(quoted(name) for name in names)


def column_specs(table: ClickHouseTable, contract: Contract | None, feed: Feed) -> dict[str, JsonValue]:
    """Return every column in its order: the contract's, the table's own, and those that its pipeline adds."""
    own = {column.name: column for column in table.columns}
    specs: dict[str, JsonValue] = {}
    for field in contract.fields if contract else ():
        if column := own.pop(field.name, None):
            specs[field.name] = _column_spec(column, comment=field.description)
        else:
            specs[field.name] = {
                "type": column_type(field), "default": "", "codec": "", "comment": field.description,
            }  # fmt: skip
    specs.update({name: _column_spec(column) for name, column in own.items()})
    for name, type_name in added_columns(feed).items():
        specs[name] = {"type": type_name, "default": "", "codec": "", "comment": ""}
    return specs


def _column_spec(column: ClickHouseColumn, *, comment: str = "") -> JsonValue:
    return {
        "type": column.type,
        "default": column.default_clause,
        "codec": f"CODEC({column.codec})" if column.codec else "",
        "comment": column.comment or comment,
    }


def table_spec(table: ClickHouseTable, contract: Contract | None, database: str, feed: Feed) -> dict[str, JsonValue]:
    """Return the spec of a table, defaults filled in; expressions as the user wrote them."""
    columns = column_specs(table, contract, feed)
    order = table.order_by if table.order_by is not None else _default_order(contract, feed)
    order_by = key_text(order) if table.is_merge_tree else ""
    settings = {name: _setting_text(value) for name, value in table.settings.items()}
    return {
        "database": database,
        "engine": engine_of(table, feed),
        "columns": columns,
        "column_order": list(columns),
        "partition_by": table.partition_by or "",
        "order_by": order_by,
        "primary_key": key_text(table.primary_key) if table.primary_key else order_by,
        "ttl": table.ttl or "",
        "settings": {**DEFAULT_SETTINGS, **settings} if table.is_merge_tree else settings,
        "comment": table.comment,
    }


def _setting_text(value: bool | float | str) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def view_spec(view: ClickHouseView, database: str) -> dict[str, JsonValue]:
    """Return the spec of a view."""
    return {"database": database, "query": view.query.rstrip("; \n\t"), "comment": view.comment}


def expression_positions(declared: Declared[Declaration]) -> Mapping[str, SourcePosition]:
    """Return where each value stands that only the server can judge, by its path; columns by name."""
    table, source = declared.model, declared.source
    if not isinstance(table, ClickHouseTable):
        return {"query": source.position(("query",))}
    positions = {
        key: source.position((key,)) for key in ("table_engine", "order_by", "primary_key", "partition_by", "ttl")
    }
    positions |= {f"settings.{name}": source.position(("settings", name)) for name in table.settings}
    for index, column in enumerate(table.columns):
        default = next((key for key in ("default", "materialized", "alias") if getattr(column, key)), "name")
        for part, key in (("type", "type"), ("codec", "codec"), ("default", default)):
            positions[f"columns.{column.name}.{part}"] = source.position(("columns", index, key))
    return positions
