"""The statements of each change, as a user sees them in a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.components.questdb.cases import COMPONENT, project, route, table, view

from thedata_cli.component_api.component import ProjectView
from thedata_cli.plan.changes import Change
from thedata_cli.plan.make_plan import make_plan
from thedata_cli.plan.resources import Resource

COLUMNS = [{"name": "ts", "type": "TIMESTAMP"}, {"name": "s", "type": "SYMBOL"}, {"name": "x", "type": "INT"}]
BASE: dict[str, Any] = {"columns": COLUMNS, "timestamp": "ts"}
QUERY = "SELECT ts, max(x) AS x FROM t SAMPLE BY 1h"


def live(view: ProjectView, **observed: Any) -> list[Resource]:
    """Return the resources of a project as if the server had them."""
    return [replace(one, spec={**one.spec, "rows": 7, **observed}) for one in COMPONENT.resources(view)]


def changes(before: ProjectView, after: ProjectView, **observed: Any) -> list[Change]:
    plan = make_plan(
        project="flights", desired=COMPONENT.resources(after), observed=live(before, **observed), kinds=COMPONENT.kinds
    )
    return list(plan.changes)


def statements(change: Change) -> list[str]:
    """Return the statements without those of the ledger."""
    return [step.call for step in change.steps if "_thedata_objects" not in step.call]


def test_a_table_is_created_with_all_that_it_declares() -> None:
    [change] = changes(project(), project(table(contract="departures", ttl="30d"), routes=[route()]))
    assert [step.call for step in change.steps] == [
        'CREATE TABLE IF NOT EXISTS "_thedata_objects" (at TIMESTAMP, kind SYMBOL, name SYMBOL, project SYMBOL, '
        "id INT) TIMESTAMP(at) PARTITION BY YEAR BYPASS WAL",
        'INSERT INTO "_thedata_objects" (at, kind, name, project, id) '
        "VALUES (systimestamp(), 'table', 'departures', 'flights', null)",
        'CREATE TABLE "departures" (\n'
        '  "scheduled_at" TIMESTAMP,\n'
        '  "carrier" SYMBOL,\n'
        '  "flight" INT,\n'
        '  "delay_minutes" INT,\n'
        '  "details" VARCHAR,\n'
        '  "_sequence" LONG\n'
        ') TIMESTAMP("scheduled_at") PARTITION BY DAY TTL 30 DAYS WAL '
        'DEDUP UPSERT KEYS("carrier", "flight", "scheduled_at")',
        'INSERT INTO "_thedata_objects" (at, kind, name, project, id) '
        "SELECT systimestamp(), 'table', 'departures', 'flights', id FROM tables() WHERE table_name = 'departures'",
    ]


def test_a_reference_table_has_neither_partitions_nor_wal() -> None:
    [change] = changes(project(), project(table("carriers", columns=[{"name": "code", "type": "symbol"}])))
    assert statements(change) == ['CREATE TABLE "carriers" (\n  "code" SYMBOL\n)']


@pytest.mark.parametrize(
    ("after", "expected", "loses"),
    [
        ({"columns": [*COLUMNS, {"name": "n", "type": "LONG"}]}, ['ADD COLUMN "n" LONG'], ""),
        ({"columns": COLUMNS[:2]}, ['DROP COLUMN "x"'], "column x"),
        ({"columns": [*COLUMNS[:2], {"name": "x", "type": "LONG"}]}, ['ALTER COLUMN "x" TYPE LONG'], ""),
        (
            {"columns": [*COLUMNS[:2], {"name": "x", "type": "BYTE"}]},
            ['ALTER COLUMN "x" TYPE BYTE'],
            "values of x that do not fit BYTE",
        ),
        (
            {"columns": [*COLUMNS[:2], {"name": "x", "type": "UUID"}]},
            ['DROP COLUMN "x"', 'ADD COLUMN "x" UUID'],
            "all values of x, as INT does not convert to UUID",
        ),
        (
            {
                "columns": [
                    COLUMNS[0],
                    {"name": "s", "type": "SYMBOL", "index": True, "symbol_capacity": 1000},
                    COLUMNS[2],
                ]
            },
            ['ALTER COLUMN "s" SYMBOL CAPACITY 1024', 'ALTER COLUMN "s" ADD INDEX'],
            "",
        ),
        ({"ttl": "30d"}, ["SET TTL 30 DAYS"], "rows older than 30d"),
        ({"dedup_keys": ["ts", "s"]}, ['DEDUP ENABLE UPSERT KEYS("s", "ts")'], ""),
    ],
)
def test_a_table_is_changed_in_place(after: dict[str, Any], expected: list[str], loses: str) -> None:
    [change] = changes(project(table("t", **BASE)), project(table("t", **BASE | after)))
    assert change.action == "update"
    assert statements(change) == [f'ALTER TABLE "t" {each}' for each in expected]
    assert change.loses == loses


def test_what_is_empty_loses_nothing() -> None:
    [change] = changes(project(table("t", **BASE)), project(table("t", **BASE, partition_by="month")), rows=0)
    assert (change.action, change.loses) == ("replace", "")


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        ({"partition_by": "month"}, "the size of a partition cannot be changed in place"),
        (
            {"columns": [{"name": "ts", "type": "TIMESTAMP_NS"}, *COLUMNS[1:]]},
            "the type of the designated timestamp cannot be changed in place",
        ),
    ],
)
def test_what_cannot_be_changed_in_place_is_made_anew(after: dict[str, Any], cause: str) -> None:
    [change] = changes(project(table("t", **BASE)), project(table("t", **BASE | after)))
    assert change.action == "replace"
    assert cause in change.cause
    assert change.loses == "all rows (7)"
    assert statements(change)[0] == 'DROP TABLE "t"'


def test_a_view_follows_a_change_of_a_column_that_it_reads() -> None:
    wider = [*COLUMNS[:2], {"name": "x", "type": "LONG"}]
    before = project(table("t", **BASE), view("v", "t", QUERY))
    after = project(table("t", **BASE | {"columns": wider}), view("v", "t", QUERY))
    first, second = changes(before, after, views=("v",), base_ttl="")
    assert statements(first) == ['ALTER TABLE "t" ALTER COLUMN "x" TYPE LONG', 'REFRESH MATERIALIZED VIEW "v" FULL']
    assert (second.action, second.loses) == ("replace", "")
    assert statements(second) == [
        'DROP MATERIALIZED VIEW "v"',
        f'CREATE MATERIALIZED VIEW "v" WITH BASE "t" REFRESH IMMEDIATE AS (\n{QUERY}\n)',
    ]


def test_a_view_over_a_table_with_ttl_cannot_be_made_anew_in_full() -> None:
    before = project(table("t", **BASE), view("v", "t", QUERY))
    after = project(table("t", **BASE), view("v", "t", QUERY.replace("max", "min")))
    [change] = changes(before, after, base_ttl="30d")
    assert change.loses == "rows older than 30d, which t no longer has"


def test_a_view_is_changed_in_place_where_the_server_can() -> None:
    before = project(table("t", **BASE), view("v", "t", QUERY, ttl="1y"))
    after = project(table("t", **BASE), view("v", "t", QUERY + "; -- same", refresh={"every": "10m"}, ttl="2y"))
    [change] = changes(before, after, partition_by="day")
    assert statements(change) == [
        'ALTER MATERIALIZED VIEW "v" SET REFRESH EVERY 10m',
        'ALTER MATERIALIZED VIEW "v" SET TTL 24 MONTHS',
    ]
    assert change.loses == ""


def test_views_go_before_their_table() -> None:
    before = project(table("t", **BASE), view("v", "t", QUERY))
    owned = [replace(one, managed_by="flights") for one in live(before)]
    plan = make_plan(project="flights", desired=[], observed=owned, kinds=COMPONENT.kinds)
    assert [statements(change) for change in plan.changes] == [['DROP MATERIALIZED VIEW "v"'], ['DROP TABLE "t"']]
