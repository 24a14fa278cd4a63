"""Queries, errors and ownership, on a real server."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import resource
import socket
import uuid
from dataclasses import replace
from typing import cast

import pytest
from tests.components.questdb.cases import (
    COMPONENT,
    apply,
    count,
    drop_everything,
    eventually,
    plan_of,
    project,
    run,
    settled,
    table,
    view,
)
from tests.components.questdb_process import QuestDBServer
from tests.server_process import free_ports

from thedata_cli.component_api.live import CanExportParquet, CanQuery, CanWrite, LiveComponent
from thedata_cli.components.questdb.live import QuestDBLive
from thedata_cli.components.questdb.login import PASSWORD
from thedata_cli.errors import RefusedError, ServiceUnreachableError, StatementRejectedError
from thedata_cli.health import CheckStatus
from thedata_cli.plan.changes import Action, Step
from thedata_cli.plan.resources import ResourceId

pytestmark = pytest.mark.live

ENDLESS = (
    "SELECT count() FROM (SELECT a.x FROM long_sequence(10000000) a CROSS JOIN long_sequence(10000000) b "
    "WHERE a.x + b.x = 3)"
)
SIMPLE = {"columns": [{"name": "ts", "type": "TIMESTAMP"}, {"name": "x", "type": "INT"}], "timestamp": "ts"}


async def test_it_can_what_it_says(live: QuestDBLive) -> None:
    for ability in (LiveComponent, CanQuery, CanExportParquet, CanWrite):
        assert isinstance(live, ability)
    assert await live.version() == COMPONENT.default_version


async def test_values_are_python_objects_and_times_are_aware(live: QuestDBLive) -> None:
    await run(live, "CREATE TABLE v (ts TIMESTAMP, de DECIMAL(10,2), u UUID, a DOUBLE[], s SYMBOL, b BOOLEAN, n LONG)")
    await run(
        live,
        "INSERT INTO v VALUES ('2024-01-01T00:00:00.000001Z', 1.50m, '00000000-0000-0000-0000-000000000001', "
        "ARRAY[1.0, 2.5], 'x', true, null)",
    )
    async with live.query("SELECT * FROM v") as result:
        assert [column.name for column in result.columns] == ["ts", "de", "u", "a", "s", "b", "n"]
        assert [column.type for column in result.columns][:3] == ["TIMESTAMP", "DECIMAL", "UUID"]
        found = [tuple(row) async for block in result.blocks() for row in block]
    at = datetime.datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=datetime.UTC)
    assert found == [(at, decimal.Decimal("1.50"), uuid.UUID(int=1), [1.0, 2.5], "x", True, None)]
    assert found[0][0].tzinfo is datetime.UTC


async def test_a_large_result_streams_in_little_memory_and_can_be_left(live: QuestDBLive) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = 0
    async with live.query("SELECT x, rnd_str(20, 20, 0) FROM long_sequence(500000)") as result:
        async for block in result.blocks():
            rows += len(block)
    assert rows == 500_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000
    async with live.query("SELECT x FROM long_sequence(1000000000)") as result:
        async for block in result.blocks():
            assert block[0] == (1,)
            break


async def test_a_result_that_never_ends_can_be_interrupted(live: QuestDBLive) -> None:
    """The server goes on sending after it was asked to stop."""
    has_begun = asyncio.Event()

    async def read() -> None:
        async with live.query("SELECT x FROM long_sequence(20000000000L)") as result:
            async for _ in result.blocks():
                has_begun.set()

    reading = asyncio.create_task(read())
    await has_begun.wait()
    reading.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_empty_results_and_statements_without_result(live: QuestDBLive) -> None:
    async with live.query("SELECT x FROM long_sequence(1) WHERE x > 1") as result:
        assert [column.name for column in result.columns] == ["x"]
        assert [block async for block in result.blocks()] == []
    async with live.query("CREATE TABLE w (x INT)") as result:
        assert result.columns == []
        assert [block async for block in result.blocks()] == []
    for nothing in ("", " ;", "-- only words"):
        with pytest.raises(StatementRejectedError, match="empty"):
            await run(live, nothing)


@pytest.mark.parametrize(
    ("sql", "message", "line", "column"),
    [
        ("SELECT x\nFROM nowhere", "nowhere", 2, 6),
        ("SELECT\n  x y z,\n  1 FROM long_sequence(1)", "found", 2, 7),
        ("SELECT 1; SELECT 2", "unexpected token", 1, 11),
        ("SELECT 'Ünï', nope FROM long_sequence(1)", "nope", 1, 15),
    ],
)
async def test_a_bad_statement_is_pointed_at(live: QuestDBLive, sql: str, message: str, line: int, column: int) -> None:
    with pytest.raises(StatementRejectedError, match=message) as rejected:
        await run(live, sql)
    assert (rejected.value.line, rejected.value.column) == (line, column)
    with pytest.raises(StatementRejectedError, match=message) as rejected:
        _ = [chunk async for chunk in live.export_parquet(sql)]
    assert (rejected.value.line, rejected.value.column) == (line, column)


async def test_parquet_comes_from_the_server(live: QuestDBLive, server: QuestDBServer) -> None:
    chunks = [chunk async for chunk in live.export_parquet("SELECT x, x * 2 AS y FROM long_sequence(1000)")]
    (server.log.parent / "import" / "numbers.parquet").write_bytes(b"".join(chunks))
    assert await run(live, "SELECT count(), sum(y) FROM read_parquet('numbers.parquet')") == [(1000, 1_001_000)]


async def test_wrong_password_nothing_there_and_another_program_are_told_apart(server: QuestDBServer) -> None:
    wrong = replace(server.endpoint, secrets={PASSWORD: "wrong"})
    with pytest.raises(ServiceUnreachableError, match="refuses the login"):
        await version_at(wrong)
    nothing = replace(server.endpoint, ports=dict(server.endpoint.ports) | {"postgres": free_ports(1)[0]})
    with pytest.raises(ServiceUnreachableError, match="does not answer"):
        await version_at(nothing)
    async with await asyncio.start_server(greet, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        with pytest.raises(ServiceUnreachableError, match="is not QuestDB"):
            await version_at(replace(server.endpoint, ports=dict(server.endpoint.ports) | {"postgres": port}))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = replace(server.endpoint, ports=dict(server.endpoint.ports) | {"postgres": silent.getsockname()[1]})
        with pytest.raises(ServiceUnreachableError, match=r"no answer within|does not answer"):
            await version_at(mute)


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Behave like a server of another protocol."""
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await writer.drain()
    writer.close()


async def version_at(endpoint: object) -> str:
    async with COMPONENT.connect(endpoint, "flights") as connected:  # type: ignore[arg-type]
        return await connected.version()


async def test_only_what_the_project_created_is_changed_or_deleted(live: QuestDBLive) -> None:
    await run(live, "CREATE TABLE foreign_one (ts TIMESTAMP) TIMESTAMP(ts) PARTITION BY DAY WAL")
    await apply(live, project(table("mine", **SIMPLE)))
    await apply(live, project(table("theirs", **SIMPLE), name="other"))
    plan = await plan_of(live, project())
    assert str(plan) == "delete questdb/table/mine: no longer declared"
    plan = await plan_of(
        live, project(table("mine", **SIMPLE), table("foreign_one", **SIMPLE), table("theirs", **SIMPLE))
    )
    assert [str(conflict.id) for conflict in plan.conflicts] == ["questdb/table/foreign_one", "questdb/table/theirs"]
    assert [conflict.owner for conflict in plan.conflicts] == ["", "other"]
    with pytest.raises(RefusedError):
        plan.refuse_conflicts()


async def test_a_foreign_table_can_be_taken_over(live: QuestDBLive) -> None:
    await run(live, "CREATE TABLE mine (ts TIMESTAMP, old INT) TIMESTAMP(ts) PARTITION BY DAY WAL")
    wanted = project(table("mine", **SIMPLE))
    plan = await apply(live, wanted, adopt=[ResourceId("questdb", "table", "mine")])
    assert [change.action for change in plan.changes] == [Action.UPDATE]
    assert (await plan_of(live, wanted)).is_empty


async def test_a_table_made_anew_by_hand_is_foreign(live: QuestDBLive) -> None:
    wanted = project(table("mine", **SIMPLE))
    await apply(live, wanted)
    await run(live, "DROP TABLE mine")
    assert str(await plan_of(live, wanted)) == "create questdb/table/mine: declared, not found"
    await run(live, "CREATE TABLE mine (ts TIMESTAMP, x INT) TIMESTAMP(ts) PARTITION BY DAY WAL")
    assert [str(conflict.id) for conflict in (await plan_of(live, wanted)).conflicts] == ["questdb/table/mine"]
    assert (await plan_of(live, project())).is_empty


@pytest.mark.parametrize("replaces", [False, True])
async def test_killed_after_any_step_the_next_run_ends_it(live: QuestDBLive, replaces: bool) -> None:
    before = project(table("mine", **SIMPLE), view("v", "mine", "SELECT ts, max(x) AS x FROM mine SAMPLE BY 1h"))
    wanted = project(
        table("mine", **SIMPLE | {"partition_by": "month"}),
        view("v", "mine", "SELECT ts, min(x) AS x FROM mine SAMPLE BY 1h"),
    )
    await apply(live, before if replaces else project())
    steps = [step for change in (await plan_of(live, wanted)).changes for step in change.steps]
    for killed_after in range(len(steps)):
        await drop_everything(live)
        if replaces:
            await apply(live, before)
        for step in steps[:killed_after]:
            await live.execute(step)
        await apply(live, wanted)
        assert (await plan_of(live, wanted)).is_empty
        assert {(one.id.name, one.managed_by) for one in await live.observe()} == {
            ("mine", "flights"),
            ("v", "flights"),
        }


async def test_rows_survive_a_change_in_place(live: QuestDBLive) -> None:
    await apply(live, project(table("mine", **SIMPLE)))
    await run(live, "INSERT INTO mine VALUES ('2024-01-01', 7)")
    await settled(live, "mine")
    wider = {
        "columns": [*SIMPLE["columns"][:1], {"name": "x", "type": "LONG"}, {"name": "n", "type": "SYMBOL"}],
        "timestamp": "ts",
    }
    plan = await apply(live, project(table("mine", **wider, dedup_keys=["ts"])))
    assert not [change.loses for change in plan.changes if change.loses]
    assert await run(live, "SELECT x, n FROM mine") == [(7, None)]
    plan = await plan_of(live, project(table("mine", **wider, partition_by="month")))
    assert [change.loses for change in plan.changes] == ["all rows (1)"]
    plan = await plan_of(live, project())
    assert [change.loses for change in plan.changes] == ["all rows (1)"]


async def test_a_view_that_became_invalid_is_a_difference_and_is_mended(live: QuestDBLive) -> None:
    wanted = project(table("mine", **SIMPLE), view("v", "mine", "SELECT ts, max(x) AS x FROM mine SAMPLE BY 1h"))
    await apply(live, wanted)
    await run(live, "INSERT INTO mine VALUES ('2024-01-01', 7)")
    await settled(live, "mine")
    await run(live, "TRUNCATE TABLE mine")
    await settled(live, "mine")

    async def is_invalid() -> bool:
        return bool(await run(live, "SELECT 1 FROM materialized_views() WHERE view_status = 'invalid'"))

    await eventually(is_invalid)
    failed = [check for check in await live.check() if check.status is CheckStatus.FAILED]
    assert "v is invalid" in failed[0].summary
    plan = await apply(live, wanted)
    assert str(plan) == "update questdb/materialized_view/v: status differs"
    assert (await plan_of(live, wanted)).is_empty


async def test_the_doctor_finds_a_well_server_well(live: QuestDBLive) -> None:
    await apply(live, project(table("mine", **SIMPLE)))
    checks = {check.name: check for check in await live.check()}
    assert {check.status for check in checks.values()} == {CheckStatus.OK}
    assert checks["questdb.version"].facts == {"running": "9.3.4", "wanted": "9.3.4"}


async def test_a_call_that_is_cancelled_leaves_a_connection_that_works(live: QuestDBLive) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await live.execute(Step(ENDLESS))
    assert await live.version()


async def test_one_hundred_tables_are_seen_by_few_statements(live: QuestDBLive) -> None:
    for number in range(100):
        await run(
            live, f"CREATE TABLE t{number} (ts TIMESTAMP, s SYMBOL, x INT, y DOUBLE) TIMESTAMP(ts) PARTITION BY DAY WAL"
        )
    found = await live.observe()
    assert len(found) == 100
    assert all(len(cast(dict[str, object], resource.spec["columns"])) == 4 for resource in found)
    await count(live, "t99")
