"""Plan and apply against the real engine: right after `apply`, `plan` is empty, whatever was declared."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.components.clickhouse.declarations import QUERIES, changes_in_place, comments, contracts, tables
from tests.components.clickhouse.server_process import ClickHouseServer
from tests.components.clickhouse.stack import Stack, connected, table, view

from thedata_cli.component_api.contracts import Contract
from thedata_cli.errors import InvalidProjectError, RefusedError, StatementRejectedError
from thedata_cli.plan.changes import Action, Step
from thedata_cli.plan.resources import ResourceId

pytestmark = pytest.mark.live

_numbers = itertools.count()
# Shrinking would ask the server for minutes; the failing declaration is short enough.
_property = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def in_new_database(server: ClickHouseServer, case: Callable[[Stack], Awaitable[None]]) -> None:
    """Run a case in a database that is dropped afterwards."""

    async def run() -> None:
        async with connected(server, database=f"property_{next(_numbers)}") as stack:
            try:
                await case(stack)
            finally:
                await stack.live.execute(Step(f"DROP DATABASE IF EXISTS {stack.database} SYNC"))

    asyncio.run(run())


@_property
@given(declared=tables())
def test_any_table_is_as_declared_after_apply(clickhouse: ClickHouseServer, declared: dict[str, Any]) -> None:
    async def case(stack: Stack) -> None:
        await stack.apply(table("events", **declared))
        assert str(await stack.plan(table("events", **declared))) == "no changes"

    in_new_database(clickhouse, case)


@_property
@given(before=tables(), after=tables())
def test_any_table_can_follow_another(
    clickhouse: ClickHouseServer, before: dict[str, Any], after: dict[str, Any]
) -> None:
    async def case(stack: Stack) -> None:
        await stack.apply(table("events", **before))
        await stack.apply(table("events", **after))
        assert str(await stack.plan(table("events", **after))) == "no changes"

    in_new_database(clickhouse, case)


@_property
@given(change=changes_in_place())
def test_any_change_in_place_arrives_and_keeps_the_rows(
    clickhouse: ClickHouseServer, change: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    before, after = (table("events", **declared) for declared in change)

    async def case(stack: Stack) -> None:
        await stack.apply(before)
        await stack.live.execute(Step(f"INSERT INTO {stack.database}.events (key, at) VALUES (1, now()), (2, now())"))
        try:
            plan = await stack.apply(after)
        except StatementRejectedError as error:
            if "has values that are no" not in error.message:
                raise
        else:
            assert {change.action for change in plan.changes} <= {Action.UPDATE}
            assert str(await stack.plan(after)) == "no changes"
        keys = await stack.rows("SELECT key, * FROM events ORDER BY key")
        assert change[1].get("ttl") or change[0].get("ttl") or [row[0] for row in keys] == [1, 2]

    in_new_database(clickhouse, case)


@_property
@given(contract=contracts())
def test_any_contract_makes_a_table(clickhouse: ClickHouseServer, contract: Contract) -> None:
    async def case(stack: Stack) -> None:
        stack.contracts = {"events": contract}
        await stack.apply(table("events", contract="events"))
        assert str(await stack.plan(table("events", contract="events"))) == "no changes"

    in_new_database(clickhouse, case)


@_property
@given(queries=st.lists(st.sampled_from(QUERIES), min_size=2, max_size=2), comment=comments)
def test_any_view_is_as_declared_after_apply(clickhouse: ClickHouseServer, queries: list[str], comment: str) -> None:
    async def case(stack: Stack) -> None:
        columns = [{"name": "a", "type": "Int32"}, {"name": "b", "type": "String"}]
        others = [
            table("base", columns=columns, order_by=["a"], table_engine="ReplacingMergeTree(a)"),
            table("other", columns=[*columns, {"name": "n", "type": "UInt64"}], order_by=["a"]),
            table("base_numbers", columns=[{"name": "number", "type": "UInt64"}], order_by=["number"]),
        ]
        for query in queries:
            top = view("top", query.replace("{db}", stack.database), comment=comment)
            second = view("second", "SELECT * FROM top", comment=comment)
            await stack.apply(*others, second, top)
            assert str(await stack.plan(*others, second, top)) == "no changes"

    in_new_database(clickhouse, case)


@pytest.fixture
def two_columns() -> list[dict[str, Any]]:
    return [{"name": "a", "type": "Int64"}, {"name": "b", "type": "String"}]


async def test_the_plan_shows_the_exact_statements(stack: Stack, two_columns: list[dict[str, Any]]) -> None:
    plan = await stack.plan(table("events", columns=two_columns, order_by=["a"], ttl="toDate(a) + INTERVAL 1 DAY"))
    assert [str(step) for change in plan.changes for step in change.steps] == [
        f"CREATE DATABASE `{stack.database}` COMMENT '[thedata:flights]'",
        f"CREATE TABLE `{stack.database}`.`events`\n"
        "(\n    `a` Int64,\n    `b` String\n)\n"
        "ENGINE = MergeTree\nORDER BY a\nTTL toDate(a) + toIntervalDay(1)\n"
        "SETTINGS index_granularity = 8192, non_replicated_deduplication_window = 1000\n"
        "COMMENT '[thedata:flights]'",
    ]


async def test_what_loses_data_says_what(stack: Stack, two_columns: list[dict[str, Any]]) -> None:
    columns = [*two_columns, {"name": "n", "type": "Nullable(Int64)"}, {"name": "t", "type": "String"}]
    await stack.apply(table("events", columns=columns, order_by=["a"]))
    assert [change.loses for change in (await stack.plan()).changes] == [""]
    await stack.rows("INSERT INTO events SELECT number, 'b', NULL, 'x' FROM numbers(1234)")

    narrower = [two_columns[0], {"name": "n", "type": "Int32"}, {"name": "t", "type": "Array(String)"}]
    (change,) = (await stack.plan(table("events", columns=narrower, order_by=["a"]))).changes
    assert change.loses == (
        "column b of 1,234 rows, column t of 1,234 rows, values of n that do not fit Int32, NULLs of n"
    )
    (change,) = (await stack.plan(table("events", columns=columns, order_by=["b"]))).changes
    assert (change.action, change.loses) == (Action.REPLACE, "1,234 rows")
    assert "primary_key and order_by cannot be changed in place" in change.cause
    plan = await stack.plan()
    assert [change.loses for change in plan.changes] == ["1,234 rows"]
    with pytest.raises(RefusedError, match="1,234 rows"):
        plan.refuse_data_loss(allowed=False)


async def test_a_value_that_does_not_fit_stops_the_change_before_anything_is_lost(
    stack: Stack, two_columns: list[dict[str, Any]]
) -> None:
    await stack.apply(table("events", columns=two_columns, order_by=["a"]))
    await stack.rows("INSERT INTO events VALUES (1, '12'), (2, 'x')")
    numbers = [two_columns[0], {"name": "b", "type": "Int32"}]
    with pytest.raises(StatementRejectedError, match="column b has values that are no Int32"):
        await stack.apply(table("events", columns=numbers, order_by=["a"]))
    assert await stack.rows("SELECT * FROM events ORDER BY a") == [(1, "12"), (2, "x")]
    await stack.rows("ALTER TABLE events DELETE WHERE b = 'x' SETTINGS mutations_sync = 1")
    await stack.apply(table("events", columns=numbers, order_by=["a"]))
    assert await stack.rows("SELECT * FROM events") == [(1, 12)]


async def test_only_what_the_project_made_is_touched(stack: Stack, two_columns: list[dict[str, Any]]) -> None:
    foreign = ResourceId("clickhouse", "table", "foreign")
    await stack.apply(table("events", columns=two_columns))
    await stack.rows("CREATE TABLE foreign (a Int64, b String) ORDER BY a COMMENT 'by hand'")
    await stack.rows("INSERT INTO foreign VALUES (1, 'x')")
    await stack.rows("CREATE VIEW seen AS SELECT 1")
    await stack.rows("CREATE MATERIALIZED VIEW sums ENGINE = SummingMergeTree ORDER BY a AS SELECT a FROM foreign")
    await stack.rows(
        "CREATE DICTIONARY words (a UInt64, b String) PRIMARY KEY a SOURCE(NULL()) LAYOUT(FLAT()) LIFETIME(0)"
    )

    assert str(await stack.plan(table("events", columns=two_columns))) == "no changes"
    own = table("foreign", columns=two_columns, order_by=["a"], comment="mine")
    plan = await stack.plan(table("events", columns=two_columns), own)
    assert str(plan) == "conflict clickhouse/table/foreign exists and was not created by thedata"
    await stack.apply(table("events", columns=two_columns), own, adopt=[foreign])
    assert str(await stack.plan(table("events", columns=two_columns), own)) == "no changes"
    assert await stack.rows("SELECT * FROM foreign") == [(1, "x")]

    await stack.apply()
    assert await stack.rows("SHOW TABLES LIKE 'events'") == await stack.rows("SHOW TABLES LIKE 'foreign'") == []
    assert await stack.rows("SHOW TABLES LIKE 'seen'") == [("seen",)]


async def test_another_database_of_the_same_project_is_left_alone(
    clickhouse: ClickHouseServer, stack: Stack, two_columns: list[dict[str, Any]]
) -> None:
    events = table("events", columns=two_columns)
    await stack.apply(events)
    async with connected(clickhouse, database=f"{stack.database}_staging") as staging:
        assert [str(change.id) for change in (await staging.apply(events)).changes] == [
            f"clickhouse/database/{staging.database}",
            "clickhouse/table/events",
        ]
        await staging.apply()
    assert str(await stack.plan(events)) == "no changes"


async def test_a_table_of_another_project_is_a_conflict(
    clickhouse: ClickHouseServer, stack: Stack, two_columns: list[dict[str, Any]]
) -> None:
    await stack.apply(table("events", columns=two_columns))
    async with connected(clickhouse, database=stack.database, project="other") as other:
        plan = await other.plan(table("events", columns=two_columns))
        assert str(plan) == "conflict clickhouse/table/events exists and was created by project 'flights'"
        assert str(await other.plan()) == "no changes"


async def test_a_database_that_is_there_is_used_and_left(stack: Stack, two_columns: list[dict[str, Any]]) -> None:
    await stack.live.execute(Step(f"CREATE DATABASE {stack.database}"))
    await stack.apply(table("events", columns=two_columns))
    await stack.apply()
    assert await stack.rows("SHOW TABLES") == []


async def test_a_view_is_made_again_when_the_table_it_reads_changes(
    stack: Stack, two_columns: list[dict[str, Any]]
) -> None:
    total = view("total", "SELECT b, count() AS n FROM events GROUP BY b")
    await stack.apply(table("events", columns=two_columns, order_by=["a"]), total)
    three = [*two_columns, {"name": "c", "type": "Int8"}]
    wider = view("total", "SELECT b, c, count() AS n FROM events GROUP BY b, c", comment="now with c")
    await stack.apply(table("events", columns=three, order_by=["b"]), wider)
    assert str(await stack.plan(table("events", columns=three, order_by=["b"]), wider)) == "no changes"
    assert await stack.rows("SELECT * FROM total") == []


async def test_every_refused_expression_is_shown_at_its_place(stack: Stack) -> None:
    columns = [
        {"name": "a", "type": "Int8", "default": "nothing(1)"},
        {"name": "b", "type": "String", "codec": "Zip"},
        {"name": "at", "type": "DateTime"},
    ]
    wrong = table(
        "events", columns=columns, order_by=["at", "missing"], partition_by="toYear(never)", ttl="b",
        settings={"no_such_setting": 1},
    )  # fmt: skip
    typed = table("typed", columns=[{"name": "a", "type": "Integre"}])
    broken = view("broken", "SELECT\n  a,\n  zzz\nFROM numbers(1)")
    with pytest.raises(InvalidProjectError) as raised:
        await stack.plan(wrong, typed, broken, view("later", "SELECT * FROM events"))
    found = {(str(problem.position.file), problem.path): problem.message for problem in raised.value.problems}
    assert found.keys() == {
        ("tables/events.yaml#columns.0.default", "columns.a.default"),
        ("tables/events.yaml#columns.1.codec", "columns.b.codec"),
        ("tables/events.yaml#order_by", "order_by"),
        ("tables/events.yaml#partition_by", "partition_by"),
        ("tables/events.yaml#ttl", "ttl"),
        ("tables/events.yaml#settings.no_such_setting", "settings.no_such_setting"),
        ("tables/typed.yaml#columns.0.type", "columns.a.type"),
        ("tables/broken.yaml#query", "query"),
    }
    assert (
        "line 2, column 3 of the query: Unknown expression identifier `a`" in found["tables/broken.yaml#query", "query"]
    )
    assert "'missing'" in found["tables/events.yaml#order_by", "order_by"]
