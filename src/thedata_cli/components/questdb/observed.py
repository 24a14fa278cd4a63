"""What the server shows of its tables and views, read as resources. Pure, but for the statements it names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thedata_cli.components.questdb.ledger import LEDGER, LedgerEntry, owner
from thedata_cli.components.questdb.retention import observed_ttl
from thedata_cli.components.questdb.sql_text import identifier, literal, plain_query
from thedata_cli.components.questdb.tables import columns_read, table_id, view_id
from thedata_cli.plan.resources import JsonValue, Resource

READ_TABLES = (
    "SELECT id, table_name, designatedTimestamp, partitionBy, walEnabled, ttlValue, ttlUnit, table_type, "
    "table_row_count, wal_pending_row_count FROM tables()"
)

READ_VIEWS = (
    "SELECT view_name, base_table_name, view_sql, refresh_type, timer_interval, timer_interval_unit, view_status, "
    "period_length FROM materialized_views()"
)

_TABLE, _VIEW = "T", "M"
_TIMER_UNITS = {"MINUTE": "m", "HOUR": "h", "DAY": "d", "WEEK": "w", "MONTH": "M", "YEAR": "y"}


@dataclass(frozen=True)
class LiveTable:
    """One row of `READ_TABLES`."""

    id: int
    name: str
    timestamp: str
    partition_by: str
    wal: bool
    ttl: str
    type: str
    rows: int | None

    @property
    def is_view(self) -> bool:
        """Whether it is the table behind a materialized view."""
        return self.type == _VIEW

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> LiveTable:
        """Read a row; the count is None where the server keeps none."""
        id_, name, timestamp, partition_by, wal, ttl, unit, type_, count, pending = row
        rows = None if count is None else count + (pending or 0)
        return cls(id_, name, timestamp or "", partition_by.lower(), wal, observed_ttl(ttl, unit), type_, rows)


def live_tables(rows: Iterable[Sequence[Any]]) -> list[LiveTable]:
    """Read the result of `READ_TABLES`, without the product's own ledger and without plain views."""
    tables = map(LiveTable.of_row, rows)
    return [table for table in tables if table.name != LEDGER and table.type in (_TABLE, _VIEW)]


def read_columns(names: Sequence[str]) -> str:
    """Return one statement for the columns of many tables: a statement a table would take five times as long."""
    return " UNION ALL ".join(
        f"SELECT {index} AS nr, * FROM table_columns({literal(name)})" for index, name in enumerate(names)
    )


def count_rows(names: Sequence[str]) -> str:
    """Return one statement that counts the rows of tables: the server keeps no count of those it has not written."""
    return " UNION ALL ".join(f"SELECT {literal(name)} AS name, count() AS n FROM {identifier(name)}" for name in names)


@dataclass(frozen=True)
class LiveColumns:
    """The columns of one table.

    Attributes:
        spec: By name, in order, as a declared table has them.
        keys: Names of the dedup keys.
    """

    spec: Mapping[str, Mapping[str, JsonValue]]
    keys: tuple[str, ...]


def columns_by_table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, LiveColumns]:
    """Read the result of `read_columns`."""
    specs: dict[str, dict[str, Mapping[str, JsonValue]]] = defaultdict(dict)
    keys: dict[str, list[str]] = defaultdict(list)
    for number, column, type_, indexed, _, cached, capacity, _, _, is_key in rows:
        name = names[number]
        spec: dict[str, JsonValue] = {"type": type_}
        if type_ == "SYMBOL":
            spec.update(indexed=indexed, symbol_cache=cached, symbol_capacity=capacity)
        specs[name][column] = spec
        if is_key:
            keys[name].append(column)
    return {name: LiveColumns(specs[name], tuple(sorted(keys[name]))) for name in names}


def resources_of(
    tables: Sequence[LiveTable],
    columns: Mapping[str, LiveColumns],
    views: Iterable[Sequence[Any]],
    ledger: Mapping[tuple[str, str], LedgerEntry],
) -> list[Resource]:
    """Return every table and materialized view."""
    views_by_name = {row[0]: row for row in views}
    by_base: dict[str, list[str]] = defaultdict(list)
    for name, base, *_ in views_by_name.values():
        by_base[base].append(name)
    by_name = {table.name: table for table in tables}
    found = []
    for table in tables:
        if not table.is_view:
            found.append(_table(table, columns[table.name], sorted(by_base[table.name]), ledger))
        elif table.name in views_by_name:
            base = by_name.get(views_by_name[table.name][1])
            found.append(_view(table, views_by_name[table.name], base, columns, ledger))
    return found


def _table(
    table: LiveTable, columns: LiveColumns, views: Sequence[str], ledger: Mapping[tuple[str, str], LedgerEntry]
) -> Resource:
    id_ = table_id(table.name)
    spec: dict[str, JsonValue] = {
        "columns": dict(columns.spec),
        "timestamp": table.timestamp,
        "partition_by": table.partition_by,
        "wal": table.wal,
        "dedup_keys": columns.keys,
        "ttl": table.ttl,
        "rows": table.rows,
        "views": views,
    }
    return Resource(id_, spec, managed_by=owner(ledger.get((id_.kind, table.name)), table.id))


def _view(
    table: LiveTable,
    row: Sequence[Any],
    base: LiveTable | None,
    columns: Mapping[str, LiveColumns],
    ledger: Mapping[tuple[str, str], LedgerEntry],
) -> Resource:
    _, base_name, sql, refresh, interval, unit, status, period = row
    id_ = view_id(table.name)
    if refresh == "timer":
        refresh = f"every {interval}{_TIMER_UNITS.get(unit, unit)}"
    spec: dict[str, JsonValue] = {
        "base": base_name,
        "query": plain_query(sql),
        "refresh": f"{refresh} period" if period else refresh,
        "partition_by": table.partition_by,
        "ttl": table.ttl,
        "status": "invalid" if status == "invalid" else "valid",
        "base_ttl": base.ttl if base else "",
    }
    if base and base.name in columns:
        spec["reads"] = columns_read(sql, {"columns": columns[base.name].spec})
    kind = view_id(base_name) if base and base.is_view else table_id(base_name)
    managed_by = owner(ledger.get((id_.kind, table.name)), table.id)
    return Resource(id_, spec, depends_on=(kind,), is_rebuilt_with_dependencies=True, managed_by=managed_by)
