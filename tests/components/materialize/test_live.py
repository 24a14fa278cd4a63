"""The connection to the emulator: queries, findings, and what is told when nothing, or something else, answers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.components.materialize.emulator_process import Emulator, send
from tests.components.materialize.stack import Stack

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import CanQuery, LiveComponent
from thedata_cli.components.materialize.component import MaterializeComponent
from thedata_cli.components.materialize.emulator import EMULATED_VERSION
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError
from thedata_cli.health import CheckResult, CheckStatus

pytestmark = pytest.mark.live


async def findings(stack: Stack) -> dict[str, CheckResult]:
    return {result.name: result for result in await stack.live.check()}


async def test_it_can_what_the_product_needs(stack: Stack) -> None:
    assert isinstance(stack.live, LiveComponent)
    assert isinstance(stack.live, CanQuery)
    assert await stack.live.version() == stack.component.wanted_version


async def test_rows_are_typed_and_columns_named(stack: Stack) -> None:
    sql = (
        "SELECT 1 AS i, 2::bigint AS l, 1.5::numeric AS n, 'x' AS t, true AS b, NULL::text AS nothing, "
        "timestamptz '2026-01-02 03:04:05+00' AS at, '{\"a\": 1}'::jsonb AS j, ARRAY[1, 2] AS a"
    )
    async with stack.live.query(sql) as result:
        columns = [(column.name, column.type) for column in result.columns]
        (row,) = [row async for block in result.blocks() for row in block]
    assert columns == [
        ("i", "int4"), ("l", "int8"), ("n", "numeric"), ("t", "text"), ("b", "bool"), ("nothing", "text"),
        ("at", "timestamptz"), ("j", "jsonb"), ("a", "int4[]"),
    ]  # fmt: skip
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert tuple(row) == (1, 2, Decimal("1.5"), "x", True, None, at, {"a": 1}, [1, 2])


async def test_a_long_result_comes_in_blocks(stack: Stack) -> None:
    async with stack.live.query("SELECT * FROM generate_series(1, 10000)") as result:
        sizes = [len(block) async for block in result.blocks()]
    assert sum(sizes) == 10_000
    assert max(sizes) <= 2000


async def test_an_empty_result_has_its_columns(stack: Stack) -> None:
    async with stack.live.query("SELECT 1 AS a, 'x' AS b WHERE false;") as result:
        assert [column.name for column in result.columns] == ["a", "b"]
        assert [block async for block in result.blocks()] == []


async def test_a_statement_without_a_result_runs_once(stack: Stack) -> None:
    await stack.run("CREATE TABLE t (a int)")
    async with stack.live.query("INSERT INTO t VALUES (1)") as result:
        assert result.columns == []
        assert [block async for block in result.blocks()] == []
    assert await stack.rows("SELECT a FROM t") == [(1,)]


@pytest.mark.parametrize("sql", ["", " ;\n", "-- nothing"])
async def test_an_empty_statement_is_refused(stack: Stack, sql: str) -> None:
    with pytest.raises(StatementRejectedError, match="the statement is empty"):
        await stack.rows(sql)


async def test_a_refused_query_has_its_place(stack: Stack) -> None:
    with pytest.raises(StatementRejectedError) as raised:
        await stack.rows("SELECT 1,\n  nope")
    error = raised.value
    assert (error.line, error.column) == (2, 3)
    assert error.detail.splitlines() == ["  nope", "  ^"]


async def test_what_the_emulator_cannot_do_says_so(stack: Stack) -> None:
    with pytest.raises(StatementRejectedError, match="the Materialize emulator does not support"):
        await stack.run("CREATE CONNECTION k TO KAFKA (BROKER 'b:9092')")


async def test_a_healthy_emulator_has_no_complaints_and_says_what_it_is(stack: Stack) -> None:
    await stack.apply({"v": "CREATE MATERIALIZED VIEW v AS SELECT 1 AS a"})
    found = await findings(stack)
    assert list(found) == [
        "materialize.latency",
        "materialize.version",
        "materialize.views",
        "materialize.hydration",
    ]
    assert {result.status for result in found.values()} == {CheckStatus.OK}
    version = found["materialize.version"]
    assert version.summary == f"the emulator of Materialize {EMULATED_VERSION}"
    assert version.facts["is_emulator"] is True


async def test_a_view_that_met_a_bad_value_is_named_with_the_reason(stack: Stack, materialize: Emulator) -> None:
    await stack.apply(
        {
            "events": "CREATE SOURCE events FROM WEBHOOK BODY FORMAT JSON",
            "numbers": "CREATE MATERIALIZED VIEW numbers AS SELECT (body->>'x')::int AS x FROM events",
            "fine": "CREATE MATERIALIZED VIEW fine AS SELECT body->>'x' AS x FROM events",
        }
    )
    send(materialize, "events", '{"x": "abc"}')
    async with asyncio.timeout(30):
        while (found := await findings(stack))["materialize.views"].status is CheckStatus.OK:
            pass
    result = found["materialize.views"]
    assert result.summary == "materialized view materialize.public.numbers cannot be computed"
    assert 'invalid input syntax for type integer: "abc"' in result.cause


async def test_another_wanted_version_is_a_warning(materialize: Emulator) -> None:
    component = MaterializeComponent(version="v26.1.0")
    endpoint = Endpoint(materialize.host, {"sql": materialize.sql_port, "http": materialize.http_port})
    async with component.connect(endpoint, "flights") as live:
        found = {result.name: result for result in await live.check()}
    assert found["materialize.version"].status is CheckStatus.WARNING
    assert found["materialize.version"].summary.endswith("wanted is v26.1.0")


async def test_nothing_there_is_told_with_the_command_that_starts_it() -> None:
    connection = MaterializeComponent().connect(Endpoint("127.0.0.1", {"sql": 1, "http": 2}), "flights")
    with pytest.raises(ServiceUnreachableError, match=r"Materialize at 127\.0\.0\.1:1 does not answer") as raised:
        await connection.__aenter__()
    assert "thedata up" in raised.value.hint


async def test_another_program_on_the_port_is_told(materialize: Emulator) -> None:
    endpoint = Endpoint(materialize.host, {"sql": materialize.http_port, "http": materialize.http_port})
    with pytest.raises(ServiceUnreachableError, match="is not Materialize"):
        await MaterializeComponent().connect(endpoint, "flights").__aenter__()
