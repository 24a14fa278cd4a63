"""Mistakes in declarations, each with its place and what would be right; no server needed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from tests.components.questdb.cases import COMPONENT, DEPARTURES, problems, project, route, table, view

from thedata_cli.component_api.contracts import Contract, ContractField, FieldType

TS = {"name": "ts", "type": "TIMESTAMP"}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"contract": "departure"}, "contract: there is no contract 'departure'; did you mean 'departures'?"),
        ({}, ": the table has no columns; give it a `contract`, or `columns`"),
        ({"columns": [TS, TS]}, "columns.0.name: column 'ts' is named twice; case does not tell columns apart"),
        ({"columns": [TS], "timestamp": "at"}, "timestamp: there is no column 'at'; known: ts"),
        (
            {"columns": [{"name": "ts", "type": "DATE"}], "timestamp": "ts"},
            "timestamp: column 'ts' is DATE; the designated timestamp is TIMESTAMP or TIMESTAMP_NS",
        ),
        (
            {"columns": [TS], "partition_by": "day"},
            "partition_by: a table without designated timestamp has no partitions; name a `timestamp`",
        ),
        (
            {"columns": [TS], "timestamp": "ts", "partition_by": "none"},
            "partition_by: a table with a designated timestamp needs partitions here, for its WAL; "
            "`hour`, `day`, `week`, `month` or `year`",
        ),
        (
            {"columns": [TS], "timestamp": "ts", "partition_by": "week", "ttl": "10d"},
            "ttl: a TTL of 10d is not a whole number of partitions by week; whole partitions are dropped",
        ),
        (
            {"columns": [TS], "timestamp": "ts", "dedup_keys": ["x", "ts"]},
            "dedup_keys.0: there is no column 'x'; known: ts",
        ),
        (
            {"columns": [TS, {"name": "a", "type": "INT"}], "timestamp": "ts", "dedup_keys": ["a"]},
            "dedup_keys: the designated timestamp 'ts' is not among them; add 'ts'",
        ),
        (
            {"columns": [TS, {"name": "a", "type": "DOUBLE[]"}], "timestamp": "ts", "dedup_keys": ["ts", "a"]},
            "dedup_keys.1: 'a' is DOUBLE[]; which cannot be a dedup key",
        ),
        (
            {"columns": [{"name": "n", "type": "INT", "index": True}]},
            "columns.0: INT column 'n' has settings of a SYMBOL; "
            "only SYMBOL has `index`, `symbol_capacity` and `symbol_cache`",
        ),
        (
            {"contract": "departures", "columns": [{"name": "Carrier", "type": "VARCHAR"}]},
            "columns.0.name: 'Carrier' and 'carrier' of the contract are the same column to QuestDB; "
            "write it as the contract does",
        ),
        (
            {"name": "_thedata_objects", "columns": [TS]},
            "name: '_thedata_objects' is a name that QuestDB or thedata uses itself; choose another",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_a_table_is_told(attributes: dict[str, Any], expected: str) -> None:
    assert expected in problems(project(table(**{"name": "t"} | attributes)))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {"columns": [TS], "timestamp": "ts"},
            "contract: pipeline 'departures' feeds contract 'departures' into this table, which has no contract; "
            "contract: departures",
        ),
        (
            {"contract": "departures", "columns": [TS], "timestamp": "ts"},
            "timestamp: 'ts' is no field of contract 'departures'; "
            "a table that a pipeline feeds takes its timestamp from the message",
        ),
        (
            {"contract": "departures", "columns": [{"name": "carrier", "type": "INT"}]},
            "columns.0.type: INT cannot hold field 'carrier' of type string; "
            "one of VARCHAR, SYMBOL, STRING, UUID, IPv4",
        ),
        (
            {"contract": "departures", "columns": [{"name": "delay_minutes", "type": "SHORT"}]},
            "columns.0.type: SHORT has no null, and field 'delay_minutes' may be null; one of INT, LONG, DOUBLE",
        ),
    ],
)
def test_a_table_that_cannot_take_what_a_pipeline_feeds_is_told(attributes: dict[str, Any], expected: str) -> None:
    assert expected in problems(project(table(**attributes), routes=[route()]))


def test_names_that_questdb_does_not_take_are_told() -> None:
    contract = Contract("c", "c", (ContractField("a-b", FieldType.INT32),))
    assert problems(project(table("t", contract="c"), contracts=[contract])) == [
        "contract: QuestDB does not allow '-' in the column name 'a-b'; rename the field in contract 'c'"
    ]


def test_names_differ_by_more_than_case() -> None:
    found = problems(project(table("t", columns=[TS]), table("T", columns=[TS])))
    assert found == ["name: 'T' is declared in tables/t.yaml:1:1 already; names differ by more than case"]


def test_a_mistake_in_a_view_is_told() -> None:
    base = table("t", columns=[TS], timestamp="ts")
    found = problems(project(base, view("v", "tt", "SELECT 1", partition_by="month", ttl="10d")))
    assert found == [
        "base: there is no QuestDB table or materialized view 'tt'; did you mean 't'?",
        "ttl: a TTL of 10d is not a whole number of partitions by month; whole partitions are dropped",
    ]


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"columns": [{"name": "a", "type": "TEXT"}]}, "no QuestDB column type"),
        ({"columns": [{"name": "a?", "type": "INT"}]}, "does not allow"),
        ({"columns": [{"name": "a", "type": "DECIMAL(2,3)"}]}, "no QuestDB column type"),
        ({"ttl": "soon"}, "no TTL"),
        ({"partition_by": "decade"}, "partition_by"),
        ({"colums": []}, "colums"),
    ],
)
def test_a_value_that_is_never_right_is_refused_by_the_model(attributes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        table(**attributes)


def test_defaults_come_from_the_contract_and_the_route() -> None:
    keyless = Contract("k", "k", DEPARTURES.fields, event_time="scheduled_at")
    fed = route(keyless, "t")
    [resource] = COMPONENT.resources(project(table("t", contract="k"), contracts=[keyless], routes=[fed]))
    assert resource.spec["dedup_keys"] == ["_sequence", "scheduled_at"]
    assert resource.spec["partition_by"] == "day"
    [resource] = COMPONENT.resources(project(table("t", contract="k"), contracts=[keyless]))
    assert resource.spec["dedup_keys"] == []
    assert "_sequence" not in resource.spec["columns"]  # type: ignore[operator]
