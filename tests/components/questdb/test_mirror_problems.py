"""What a project may declare of a table that a view feeds; no server needed."""

from __future__ import annotations

from typing import Any

import pytest
from tests.components.mirroring import route_to
from tests.components.questdb.cases import COMPONENT, problems, project, table

ROUTE = route_to("questdb", "hour", "carrier")
HOUR = {"name": "hour", "type": "TIMESTAMP"}
CARRIER = {"name": "carrier", "type": "SYMBOL"}
COUNT = {"name": "count", "type": "LONG"}
COLUMNS = [HOUR, CARRIER, COUNT]


def found(**attributes: Any) -> list[str]:
    return problems(project(table("delays", **attributes), view_routes=[ROUTE]))


def test_a_table_that_a_view_feeds_has_keys_and_columns_by_itself() -> None:
    view = project(table("delays", columns=COLUMNS, timestamp="hour"), view_routes=[ROUTE])
    assert problems(view) == []
    (resource,) = COMPONENT.resources(view)
    columns: Any = resource.spec["columns"]
    assert {name: column["type"] for name, column in columns.items()} == {
        "hour": "TIMESTAMP",
        "carrier": "SYMBOL",
        "count": "LONG",
        "_version": "LONG",
        "_deleted": "BOOLEAN",
    }
    assert resource.spec["dedup_keys"] == ["carrier", "hour"]
    assert resource.spec["wal"] is True


def test_it_may_say_so_itself() -> None:
    assert found(columns=COLUMNS, timestamp="hour", dedup_keys=["carrier", "hour"], partition_by="month") == []


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {"columns": COLUMNS},
            "timestamp: there is no designated timestamp; "
            "one of [hour, carrier]: rows replace each other by time and key",
        ),
        (
            {"columns": [*COLUMNS, {"name": "at", "type": "TIMESTAMP"}], "timestamp": "at"},
            "timestamp: 'at' is not in the key of pipeline 'delays'; "
            "one of [hour, carrier]: rows replace each other by time and key",
        ),
        (
            {"columns": COLUMNS, "timestamp": "hour", "dedup_keys": ["hour"]},
            "dedup_keys: they must be the key of pipeline 'delays': rows that share it replace each other; "
            "[hour, carrier]",
        ),
        ({"columns": COLUMNS, "timestamp": "hour", "dedup_keys": []}, "dedup_keys: they must be the key"),
        (
            {"columns": [HOUR, COUNT], "timestamp": "hour"},
            "columns: no column for 'carrier', which is in the key of pipeline 'delays'; "
            "declare the columns of the view",
        ),
        (
            {"columns": [HOUR, {"name": "carrier", "type": "DOUBLE"}], "timestamp": "hour"},
            "columns.1.type: 'carrier' is in the key of pipeline 'delays', and values of DOUBLE cannot be told apart; "
            "a type whose values are exact",
        ),
        (
            {"columns": [{"name": "hour", "type": "TIMESTAMP_NS"}, CARRIER], "timestamp": "hour"},
            "columns.0.type: 'hour' is in the key of pipeline 'delays', and values of TIMESTAMP_NS cannot be",
        ),
        (
            {"columns": [*COLUMNS, {"name": "_Version", "type": "LONG"}], "timestamp": "hour"},
            "columns.3.name: '_Version' is added by pipelines; leave it out",
        ),
        ({"timestamp": "hour"}, ": the table has no columns; give it a `contract`, or `columns`"),
        (
            {"columns": COLUMNS, "timestamp": "hour", "partition_by": "none"},
            "partition_by: a table with a designated timestamp needs partitions here, for its WAL",
        ),
    ],
)
def test_what_keeps_it_from_being_equal_is_told_with_its_place(attributes: dict[str, Any], expected: str) -> None:
    assert any(problem.startswith(expected) for problem in found(**attributes)), found(**attributes)
