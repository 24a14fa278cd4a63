"""What a project may declare of a table that a view feeds; no server needed."""

from __future__ import annotations

from typing import Any

import pytest
from tests.components.clickhouse.stack import table, view
from tests.components.mirroring import route_to

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.contracts import Contract, ContractField, FieldType
from thedata_cli.component_api.declarations import AnyDeclared
from thedata_cli.components.clickhouse.component import ClickHouseComponent

ROUTE = route_to("clickhouse", "hour", "carrier")
HOUR = {"name": "hour", "type": "DateTime64(6, 'UTC')"}
CARRIER = {"name": "carrier", "type": "LowCardinality(String)"}
COUNT = {"name": "count", "type": "Nullable(Int64)"}
COLUMNS = [HOUR, CARRIER, COUNT]
CONTRACT = Contract(
    "delays", "delays.>",
    (ContractField("hour", FieldType.TIMESTAMP), ContractField("carrier", FieldType.STRING, is_nullable=True)),
    event_time="hour",
)  # fmt: skip


def project(declared: AnyDeclared) -> ProjectView:
    return ProjectView("flights", [declared], {"delays": CONTRACT}, (), (ROUTE,))


def problems(declared: AnyDeclared) -> list[str]:
    return [str(problem) for problem in ClickHouseComponent().problems(project(declared))]


def test_a_table_that_a_view_feeds_has_engine_key_and_columns_by_itself() -> None:
    declared = table("delays", columns=COLUMNS)
    assert problems(declared) == []
    (resource,) = ClickHouseComponent().resources(project(declared))
    columns: Any = resource.spec["columns"]
    assert {name: column["type"] for name, column in columns.items()} == {
        "hour": "DateTime64(6, 'UTC')",
        "carrier": "LowCardinality(String)",
        "count": "Nullable(Int64)",
        "_version": "UInt64",
        "_deleted": "UInt8",
    }
    assert resource.spec["engine"] == "ReplacingMergeTree(_version, _deleted)"
    assert resource.spec["order_by"] == "(`hour`, `carrier`)"


@pytest.mark.parametrize(
    "values",
    [
        {
            "columns": COLUMNS,
            "table_engine": "ReplacingMergeTree( `_version`,_deleted )",
            "order_by": ["carrier", "hour"],
        },
        {"columns": COLUMNS, "order_by": ["`hour`", "`carrier`"], "primary_key": ["`hour`"]},
        {"columns": [CARRIER, COUNT], "contract": "delays"},
    ],
)
def test_it_may_say_so_itself(values: dict[str, Any]) -> None:
    assert problems(table("delays", **values)) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"columns": COLUMNS, "table_engine": "MergeTree"},
            "#table_engine:1:1: table_engine: pipeline 'delays' keeps this table equal to a view, and MergeTree does "
            "not know which row of a key is the last, and whether it is gone; ReplacingMergeTree(_version, _deleted)",
        ),
        ({"columns": COLUMNS, "table_engine": "ReplacingMergeTree(_version)"}, "#table_engine:1:1: "),
        (
            {"columns": COLUMNS, "order_by": ["hour"]},
            "#order_by:1:1: order_by: the sorting key must be the key of pipeline 'delays': rows that share it replace "
            "each other; [hour, carrier], in any order",
        ),
        ({"columns": COLUMNS, "order_by": ["hour", "lower(carrier)"]}, "#order_by:1:1: "),
        (
            {"columns": COLUMNS, "partition_by": "toYYYYMM(hour)"},
            "#partition_by:1:1: partition_by: a table that a view feeds has no partitions: a reader could see half of",
        ),
        ({"columns": COLUMNS, "ttl": "hour + INTERVAL 1 DAY"}, "#ttl:1:1: ttl: a table that a view feeds has no TTL"),
        (
            {"columns": [HOUR, COUNT], "order_by": ["hour", "carrier"]},
            "#columns:1:1: columns: no column for 'carrier', which is in the key of pipeline 'delays'",
        ),
        (
            {"columns": [HOUR, {"name": "carrier", "type": "LowCardinality(Nullable(String))"}]},
            "#columns.1.type:1:1: columns.1.type: 'carrier' is in the key of pipeline 'delays', and "
            "LowCardinality(Nullable(String)) may be null",
        ),
        ({"columns": [HOUR], "contract": "delays"}, "#contract:1:1: contract: 'carrier' is in the key"),
        ({"columns": [HOUR, {"name": "carrier", "type": "Float64"}]}, "and Float64 is rounded"),
        ({"columns": [HOUR, {**CARRIER, "alias": "'x'"}]}, "#columns.1:1:1: columns.1: 'carrier' is in the key of"),
        (
            {"columns": [*COLUMNS, {"name": "_deleted", "type": "UInt8"}]},
            "#columns.3.name:1:1: columns.3.name: '_deleted' is added by itself: a pipeline feeds the table",
        ),
        ({"order_by": ["hour", "carrier"]}, "#:1:1: table 'delays' has no columns"),
    ],
)  # fmt: skip
def test_what_keeps_it_from_being_equal_is_told_with_its_place(values: dict[str, Any], expected: str) -> None:
    found = problems(table("delays", **values))
    assert any(expected in problem for problem in found), found


def test_a_pipeline_cannot_keep_a_view_equal_to_a_view() -> None:
    (found,) = problems(view("delays", "SELECT 1"))
    assert "pipelines can only write into tables" in found
