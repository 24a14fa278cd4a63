"""What a project declares, and the mistakes that show without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError
from tests.components.clickhouse.stack import table, view

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.contracts import Contract, ContractField, FieldType
from thedata_cli.component_api.declarations import AnyDeclared
from thedata_cli.component_api.routes import Route
from thedata_cli.components.clickhouse.component import ClickHouseComponent
from thedata_cli.plan.resources import ResourceId

DEPARTURES = Contract(
    "departures", "flights.departures.>",
    (
        ContractField("scheduled_at", FieldType.TIMESTAMP, description="UTC"),
        ContractField("carrier", FieldType.STRING, is_symbol=True),
        ContractField("delay", FieldType.INT16, is_required=False, is_nullable=True),
        ContractField("details", FieldType.JSON),
    ),
    event_time="scheduled_at", key=("scheduled_at", "carrier"),
)  # fmt: skip
CONTRACTS = {"departures": DEPARTURES}
COLUMNS = [{"name": "a", "type": "Int64"}]


def route(name: str, contract: Contract = DEPARTURES) -> Route:
    stream = ResourceId("nats", "stream", "departures")
    return Route("loading", stream, "", contract, ResourceId("clickhouse", "table", name), "dead-letters", 5000, 0.5)


def problems(*declared: AnyDeclared, routes: Sequence[Route] = ()) -> list[str]:
    project = ProjectView("flights", declared, CONTRACTS, routes)
    return [str(problem) for problem in ClickHouseComponent(database="flights").problems(project)]


def test_a_table_of_a_contract_has_its_columns_its_key_and_the_sequence_of_its_pipeline() -> None:
    declared = table("departures", contract="departures", columns=[{"name": "note", "type": "String"}])
    project = ProjectView("flights", [declared], CONTRACTS, [route("departures")])
    home, resource = ClickHouseComponent(database="flights").resources(project)
    assert str(home.id) == "clickhouse/database/flights"
    assert resource.depends_on == (home.id,)
    assert resource.managed_by == "flights"
    columns: Any = resource.spec["columns"]
    assert {name: column["type"] for name, column in columns.items()} == {
        "scheduled_at": "DateTime64(6, 'UTC')",
        "carrier": "LowCardinality(String)",
        "delay": "Nullable(Int16)",
        "details": "String",
        "note": "String",
        "_sequence": "UInt64",
    }
    assert columns["scheduled_at"]["comment"] == "UTC"
    assert resource.spec["order_by"] == "(`scheduled_at`, `carrier`)"
    assert resource.spec["settings"] == {"index_granularity": "8192", "non_replicated_deduplication_window": "1000"}


def test_a_column_can_override_that_of_the_contract_in_its_place() -> None:
    declared = table("departures", contract="departures", columns=[{"name": "carrier", "type": "FixedString(2)"}])
    (resource,) = ClickHouseComponent().resources(ProjectView("flights", [declared], CONTRACTS))
    columns: Any = resource.spec["columns"]
    assert list(columns) == ["scheduled_at", "carrier", "delay", "details"]
    assert columns["carrier"]["type"] == "FixedString(2)"


def test_views_come_after_what_they_read() -> None:
    declared = [
        view("top", "SELECT * FROM middle JOIN flights.base USING (a) WHERE a IN other.elsewhere"),
        view("middle", "WITH nowhere AS (SELECT 1 AS a) SELECT * FROM nowhere, base, (SELECT 'FROM elsewhere') AS x"),
        table("base", columns=COLUMNS),
        table("elsewhere", columns=COLUMNS),
        table("nowhere", columns=COLUMNS),
    ]
    resources = ClickHouseComponent(database="flights").resources(ProjectView("flights", declared, {}))
    reads = {
        resource.id.name: sorted(name.name for name in resource.depends_on if name.kind != "database")
        for resource in resources
        if resource.id.kind == "view"
    }
    assert reads == {"top": ["base", "middle"], "middle": ["base"]}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (
            table("t", contract="departure"),
            "tables/t.yaml#contract:1:1: contract: unknown contract 'departure'; the project has: departures",
        ),
        (table("t"), "tables/t.yaml#:1:1: table 't' has no columns; set `contract` or `columns`"),
        (
            table("t", columns=COLUMNS, table_engine="Kafka('x')"),
            "tables/t.yaml#table_engine:1:1: table_engine: unknown table engine 'Kafka'; one of MergeTree,",
        ),
        (
            table("t", columns=COLUMNS, table_engine="Memory", order_by=["a"]),
            "tables/t.yaml#order_by:1:1: order_by: table engine Memory has no order_by",
        ),
        (
            table("t", columns=COLUMNS, order_by=["a", "f(a"]),
            "tables/t.yaml#order_by.1:1:1: order_by.1: 'f(a': a bracket is never closed; one SQL expression",
        ),
        (
            table("t", columns=COLUMNS, ttl="a; DROP TABLE t"),
            "tables/t.yaml#ttl:1:1: ttl: 'a; DROP TABLE t': unexpected ';'",
        ),
        (
            table("t", columns=[*COLUMNS, *COLUMNS]),
            "tables/t.yaml#columns.1.name:1:1: columns.1.name: column 'a' is declared twice",
        ),
        (
            table("t", contract="departures", columns=[{"name": "carrier", "type": "String", "alias": "'x'"}]),
            "tables/t.yaml#columns.0.name:1:1: columns.0.name: 'carrier' is a field of contract 'departures'",
        ),
        (
            view("t", "SELECT 1; SELECT 2"),
            "tables/t.yaml#query:1:1: query: unexpected ';'; the query must be one SELECT",
        ),
        (
            table("t", columns=[{"name": "Not", "type": "Int8"}]),
            "tables/t.yaml#columns:1:1: columns: ClickHouse cannot keep a column named 'Not'; another name",
        ),
        (view("t", "SELECT * FROM t"), "tables/t.yaml#query:1:1: query: views read each other in a circle: t → t"),
    ],
)
def test_mistakes_are_told_with_their_place(declared: AnyDeclared, expected: str) -> None:
    (found,) = problems(declared)
    assert found.startswith(expected)


def test_tables_and_views_share_their_names() -> None:
    (found,) = problems(table("t", columns=COLUMNS), view("t", "SELECT 1"))
    assert found.startswith("tables/t.yaml#name:1:1: name: 't' is also declared in tables/t.yaml")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"contract": "departures", "table_engine": "SummingMergeTree"}, "SummingMergeTree does not keep the rows"),
        ({"contract": "departures", "table_engine": "ReplacingMergeTree"}, "; ReplacingMergeTree(_sequence)"),
        ({"columns": COLUMNS}, "no column for 'scheduled_at', 'carrier', 'delay', 'details'"),
        (
            {"contract": "departures", "columns": [{"name": "_sequence", "type": "Int8"}]},
            "'_sequence' is added by itself",
        ),
    ],
)
def test_a_table_that_a_pipeline_feeds_must_keep_its_rows_recognisable(values: dict[str, Any], expected: str) -> None:
    (found,) = problems(table("t", **values), routes=[route("t")])
    assert expected in found


def test_a_pipeline_cannot_feed_a_view() -> None:
    (found,) = problems(view("t", "SELECT 1"), routes=[route("t")])
    assert "pipelines can only write into tables" in found


def test_a_good_project_has_no_problems() -> None:
    engine = "ReplacingMergeTree(_sequence)"
    assert problems(
        table("t", contract="departures", table_engine=engine, partition_by="toYYYYMM(scheduled_at)"),
        view("v", "SELECT carrier, count() FROM t GROUP BY carrier;\n"),
        routes=[route("t")],
    ) == []  # fmt: skip


@pytest.mark.parametrize(
    "values",
    [
        {"columns": [{"name": "a", "type": "Int8", "default": "1", "alias": "2"}]},
        {"columns": [{"name": "a", "type": "Int8", "alias": "2", "codec": "ZSTD"}]},
        {"columns": [{"name": "a`b", "type": "Int8"}]},
        {"columns": [{"name": "a", "type": " "}]},
        {"settings": {"Not A Name": 1}},
    ],
)
def test_a_model_refuses_what_no_server_takes(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        table("t", **values)
