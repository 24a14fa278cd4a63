"""The statements of a plan, from two specs; no server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.components.clickhouse.stack import table, view

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.declarations import AnyDeclared
from thedata_cli.components.clickhouse.component import ClickHouseComponent
from thedata_cli.components.clickhouse.type_changes import TypeChange, type_change
from thedata_cli.plan.changes import Plan
from thedata_cli.plan.make_plan import make_plan
from thedata_cli.plan.resources import Resource

COMPONENT = ClickHouseComponent(database="flights")
A, B, C = {"name": "a", "type": "Int32"}, {"name": "b", "type": "String"}, {"name": "c", "type": "Date"}


def resources(*declared: AnyDeclared) -> list[Resource]:
    return list(COMPONENT.resources(ProjectView("flights", declared, {})))


def live(*declared: AnyDeclared, rows: int = 7, project: str = "flights") -> list[Resource]:
    return [
        replace(resource, managed_by=project, spec={**resource.spec, "rows": rows}) for resource in resources(*declared)
    ]


def plan_between(before: list[Resource], after: list[Resource]) -> Plan:
    return make_plan(project="flights", desired=after, observed=before, kinds=COMPONENT.kinds)


def statements(before: dict[str, Any], after: dict[str, Any], rows: int = 7) -> list[str]:
    plan = plan_between(live(table("t", **before), rows=rows), resources(table("t", **after)))
    return [step.call.replace("\n    ", " ") for change in plan.changes for step in change.steps]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"columns": [A]}, {"columns": [A, B]}, ["ADD COLUMN `b` String AFTER `a`"]),
        ({"columns": [A]}, {"columns": [B, A]}, ["ADD COLUMN `b` String FIRST"]),
        ({"columns": [A, B]}, {"columns": [B, A]}, ["MODIFY COLUMN `b` String FIRST"]),
        ({"columns": [A, B]}, {"columns": [A]}, ["DROP COLUMN `b`"]),
        (
            {"columns": [A, B]},
            {"columns": [{**A, "type": "Int64", "default": "1", "comment": "it's"}, B]},
            ["MODIFY COLUMN `a` Int64 DEFAULT 1, COMMENT COLUMN `a` 'it\\'s'"],
        ),
        ({"columns": [{**A, "default": "1"}]}, {"columns": [A]}, ["MODIFY COLUMN `a` REMOVE DEFAULT"]),
        ({"columns": [{**A, "codec": "LZ4"}]}, {"columns": [A]}, ["MODIFY COLUMN `a` REMOVE CODEC"]),
        (
            {"columns": [{**A, "type": "Nullable(Int32)"}]},
            {"columns": [A]},
            [
                "MODIFY COLUMN `a` Int32 DEFAULT defaultValueOfTypeName('Int32')",
                "MODIFY COLUMN `a` REMOVE DEFAULT",
            ],
        ),
        (
            {"columns": [A, B], "order_by": ["a"], "primary_key": ["a"]},
            {"columns": [A, B, C], "order_by": ["a", "c"], "primary_key": ["a"]},
            ["ADD COLUMN `c` Date AFTER `b`, MODIFY ORDER BY (a, c)"],
        ),
        (
            {"columns": [A, B]},
            {"columns": [A, {**B, "type": "JSON"}]},
            ["DROP COLUMN `b`", "ADD COLUMN `b` JSON AFTER `a`"],
        ),
        ({"columns": [C]}, {"columns": [C], "ttl": "c + INTERVAL 1 DAY"}, ["MODIFY TTL c + INTERVAL 1 DAY"]),
        ({"columns": [C], "ttl": "c"}, {"columns": [C]}, ["REMOVE TTL"]),
        (
            {"columns": [A, C], "ttl": "c + INTERVAL 1 DAY"},
            {"columns": [A, {**C, "type": "Date32"}], "ttl": "c + INTERVAL 1 DAY"},
            ["REMOVE TTL", "MODIFY COLUMN `c` Date32", "MODIFY TTL c + INTERVAL 1 DAY"],
        ),
        (
            {"columns": [A], "settings": {"merge_with_ttl_timeout": 1}},
            {"columns": [A], "settings": {"min_bytes_for_wide_part": 5}},
            ["MODIFY SETTING min_bytes_for_wide_part = 5", "RESET SETTING merge_with_ttl_timeout"],
        ),
        ({"columns": [A]}, {"columns": [A], "comment": "x"}, ["MODIFY COMMENT 'x [thedata:flights]'"]),
    ],
)
def test_changes_in_place(before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    assert statements(before, after) == [f"ALTER TABLE `flights`.`t` {command}" for command in expected]


def test_a_cast_that_may_fail_is_checked_first_unless_there_are_no_rows() -> None:
    before, after = {"columns": [A, B]}, {"columns": [A, {**B, "type": "Int64"}]}
    change = "ALTER TABLE `flights`.`t` MODIFY COLUMN `b` Int64"
    assert statements(before, after) == [
        "SELECT throwIf(count() > 0, 'column b has values that are no Int64') FROM `flights`.`t` "
        "WHERE isNotNull(`b`) AND isNull(accurateCastOrNull(`b`, 'Int64'))",
        change,
    ]
    assert statements(before, after, rows=0) == [change]


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ({"columns": [A]}, {"columns": [A], "order_by": ["a"]}, "primary_key and order_by"),
        ({"columns": [A]}, {"columns": [A], "partition_by": "a"}, "partition_by"),
        ({"columns": [A]}, {"columns": [A], "table_engine": "ReplacingMergeTree"}, "table_engine"),
        ({"columns": [A]}, {"columns": [A], "settings": {"index_granularity": 1024}}, "settings.index_granularity"),
        (
            {"columns": [A], "order_by": ["a"]}, {"columns": [{**A, "type": "Int64"}], "order_by": ["a"]},
            "the type of column a, which a key uses,",
        ),
        (
            {"columns": [A, {**B, "default": "toString(a)"}]},
            {"columns": [{**A, "type": "UUID"}, {**B, "default": "toString(a)"}]},
            "column a, from which others are computed,",
        ),
        (
            {"columns": [A], "table_engine": "Memory"}, {"columns": [A, B], "table_engine": "Memory"},
            "a table of engine Memory",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_in_place_is_made_anew(
    before: dict[str, Any], after: dict[str, Any], cause: str
) -> None:
    plan = plan_between(live(table("t", **before)), resources(table("t", **after)))
    (change,) = plan.changes
    assert str(change).startswith("replace clickhouse/table/t: ")
    assert str(change).endswith(f"; {cause} cannot be changed in place [loses 7 rows]")
    assert [step.call.split("\n")[0] for step in change.steps] == [
        "DROP TABLE `flights`.`t`", "CREATE TABLE `flights`.`t`",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "loses"),
    [
        ({"columns": [A, B]}, {"columns": [A]}, "column b of 7 rows"),
        ({"columns": [A, {**B, "alias": "toString(a)"}]}, {"columns": [A]}, ""),
        ({"columns": [A]}, {"columns": [{**A, "type": "Int8"}]}, "values of a that do not fit Int8"),
        ({"columns": [A]}, {"columns": [{**A, "type": "Nullable(Int64)"}]}, ""),
        ({"columns": [C]}, {"columns": [C], "ttl": "c"}, "rows past the new TTL c"),
        ({"columns": [C], "ttl": "c + toIntervalDay(3)"}, {"columns": [C], "ttl": "c + toIntervalDay(30)"}, ""),
        (
            {"columns": [C], "ttl": "c + toIntervalMonth(3)"}, {"columns": [C], "ttl": "c + toIntervalDay(30)"},
            "rows past the new TTL c + toIntervalDay(30)",
        ),
    ],
)  # fmt: skip
def test_a_change_in_place_says_what_it_loses(before: dict[str, Any], after: dict[str, Any], loses: str) -> None:
    (change,) = plan_between(live(table("t", **before)), resources(table("t", **after))).changes
    assert change.loses == loses
    (change,) = plan_between(live(table("t", **before), rows=0), resources(table("t", **after))).changes
    assert change.loses == ""


def test_what_is_no_longer_declared_goes_views_first() -> None:
    before = live(table("t", columns=[A]), view("v", "SELECT * FROM t"))
    assert str(plan_between(before, resources())) == (
        "delete clickhouse/view/v: no longer declared\ndelete clickhouse/table/t: no longer declared [loses 7 rows]"
    )


def test_what_another_project_made_is_a_conflict() -> None:
    declared = table("t", columns=[A])
    plan = plan_between(live(declared, project="other")[1:], resources(declared)[1:])
    assert str(plan) == "conflict clickhouse/table/t exists and was created by project 'other'"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("Int8", "Int64", TypeChange.KEEPS),
        ("UInt8", "Int16", TypeChange.KEEPS),
        ("UInt64", "Int64", TypeChange.CASTS),
        ("Float32", "Float64", TypeChange.KEEPS),
        ("DateTime64(6, 'UTC')", "DateTime", TypeChange.CASTS),
        ("LowCardinality(String)", "String", TypeChange.KEEPS),
        ("UUID", "String", TypeChange.KEEPS),
        ("String", "DateTime64(3)", TypeChange.CHECKED),
        ("Float64", "Decimal(10, 2)", TypeChange.CHECKED),
        ("String", "Enum8('a' = 1)", TypeChange.ANEW),
        ("String", "Bool", TypeChange.ANEW),
        ("Array(Int8)", "Array(String)", TypeChange.ANEW),
        ("IPv4", "UInt32", TypeChange.ANEW),
    ],
)
def test_what_a_change_of_type_does(before: str, after: str, expected: TypeChange) -> None:
    assert type_change(before, after) is expected
