"""Following views of the emulator: what is told, when, and every way in which it ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.components.materialize.emulator_process import running_emulator
from tests.components.materialize.stack import Stack, connected

from thedata_cli.component_api.views import CanSubscribe, Subscription, ViewChanges
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError

pytestmark = pytest.mark.live

TABLE = "CREATE TABLE flights (id int NOT NULL, carrier text, delay text)"
DELAYS = "CREATE MATERIALIZED VIEW delays AS SELECT carrier, id, delay::int AS delay FROM flights"
COUNTS = "CREATE VIEW counts AS SELECT carrier, count(*) AS flights FROM flights GROUP BY carrier"
OBJECTS = {"flights": TABLE, "delays": DELAYS, "counts": COUNTS}


@contextlib.asynccontextmanager
async def following(
    stack: Stack, view: str, *, key: Sequence[str] = (), has_snapshot: bool = True
) -> AsyncIterator[tuple[Subscription, AsyncIterator[ViewChanges]]]:
    async with asyncio.timeout(30), stack.live.subscribe(view, key=key, has_snapshot=has_snapshot) as subscription:
        yield subscription, subscription.changes()


async def until_changed(changes: AsyncIterator[ViewChanges]) -> ViewChanges:
    """Pass over what says that nothing changed."""
    async for one in changes:
        if one.changes:
            return one
    raise AssertionError("a subscription does not end by itself")


def told(changes: ViewChanges) -> list[tuple[Any, ...]]:
    return [(change.diff, *change.values) for change in changes.changes]


def is_empty_snapshot(changes: ViewChanges) -> bool:
    return changes.is_snapshot and not changes.changes


async def test_by_key_each_change_of_a_row_is_told(stack: Stack) -> None:
    await stack.apply(OBJECTS)
    await stack.run("INSERT INTO flights VALUES (1, 'AA', '5'), (2, 'UA', '7')")
    assert isinstance(stack.live, CanSubscribe)
    async with following(stack, "delays", key=["id"]) as (subscription, changes):
        assert [(one.name, one.type) for one in subscription.columns] == [
            ("carrier", "text"), ("id", "int4"), ("delay", "int4"),
        ]  # fmt: skip
        snapshot = await anext(changes)
        assert snapshot.is_snapshot
        assert sorted(told(snapshot)) == [(1, "AA", 1, 5), (1, "UA", 2, 7)]
        await stack.run("UPDATE flights SET delay = '6' WHERE id = 1")
        updated = await until_changed(changes)
        assert (told(updated), updated.is_snapshot) == ([(1, "AA", 1, 6)], False)
        await stack.run("DELETE FROM flights WHERE id = 2")
        deleted = await until_changed(changes)
        assert told(deleted) == [(-1, None, 2, None)]
        assert snapshot.until < updated.until < deleted.until


async def test_row_by_row_copies_are_told(stack: Stack) -> None:
    await stack.apply(OBJECTS)
    async with following(stack, "flights") as (_, changes):
        assert is_empty_snapshot(await anext(changes))
        await stack.run("INSERT INTO flights VALUES (1, 'AA', '5')")
        assert told(await until_changed(changes)) == [(1, 1, "AA", "5")]
        await stack.run("UPDATE flights SET delay = '6'")
        assert sorted(told(await until_changed(changes))) == [(-1, 1, "AA", "5"), (1, 1, "AA", "6")]


async def test_a_view_over_views_changes_with_them(stack: Stack) -> None:
    await stack.apply(OBJECTS)
    async with following(stack, "counts", key=["carrier"], has_snapshot=False) as (_, changes):
        assert not (await anext(changes)).is_snapshot
        await stack.run("INSERT INTO flights VALUES (1, 'AA', '5'), (2, 'AA', '7')")
        assert told(await until_changed(changes)) == [(1, "AA", 2)]


async def test_values_are_python_objects(stack: Stack) -> None:
    at = "timestamptz '2026-01-02 03:04:05.6+02'"
    view = (
        f"SELECT 1.50::numeric AS n, {at} AS at, date '2026-01-02' AS day, '{{\"a\": [1]}}'::jsonb AS j, "
        "true AS b, 2.5::float8 AS f, 9::bigint AS big, NULL::text AS nothing"
    )
    await stack.apply({"typed": f"CREATE MATERIALIZED VIEW typed AS {view}"})
    async with following(stack, "typed", key=["big"]) as (subscription, changes):
        assert [one.type for one in subscription.columns] == [
            "numeric", "timestamptz", "date", "jsonb", "bool", "float8", "int8", "text",
        ]  # fmt: skip
        (row,) = (await anext(changes)).changes
    moment = datetime(2026, 1, 2, 1, 4, 5, 600000, tzinfo=UTC)
    assert row.values == (Decimal("1.50"), moment, moment.date(), {"a": [1]}, True, 2.5, 9, None)
    assert row.values[1].tzinfo is not None


async def test_that_nothing_changes_is_told_every_second(stack: Stack) -> None:
    await stack.apply(OBJECTS)
    async with following(stack, "delays", key=["id"]) as (_, changes):
        times = [(await anext(changes)).until for _ in range(3)]
    assert times == sorted(set(times))
    assert times[-1] - times[0] < 5000


async def test_what_comes_while_the_consumer_is_busy_is_one(stack: Stack) -> None:
    await stack.apply(OBJECTS)
    async with following(stack, "delays", key=["id"]) as (_, changes):
        await anext(changes)
        for number in range(20):
            await stack.run(f"INSERT INTO flights VALUES ({number % 5}, 'AA', '{number}')")
            await stack.run(f"DELETE FROM flights WHERE delay <> '{number}'")
        async with following(stack, "delays", key=["id"]) as (_, others):
            now = (await anext(others)).until
        state: dict[int, tuple[Any, ...]] = {}
        rounds = 0
        async for one in changes:
            rounds += bool(one.changes)
            state.update({change.values[1]: (change.diff, change.values[2]) for change in one.changes})
            if one.until >= now:
                break
        assert {key: delay for key, (diff, delay) in state.items() if diff > 0} == {4: 19}
        assert rounds <= 2


async def test_two_rows_with_the_same_key_are_named(stack: Stack) -> None:
    await stack.apply(OBJECTS)
    await stack.run("INSERT INTO flights VALUES (1, 'AA', '5'), (2, 'AA', '7')")
    async with following(stack, "delays", key=["carrier"]) as (_, changes):
        with pytest.raises(StatementRejectedError, match=r"view delays has two rows .*: \(carrier\) = \('AA'\)"):
            await until_changed(changes)


async def test_a_view_that_cannot_be_computed_says_why_and_recovers(stack: Stack) -> None:
    await stack.apply(OBJECTS)
    async with following(stack, "delays", key=["id"]) as (_, changes):
        await anext(changes)
        await stack.run("INSERT INTO flights VALUES (1, 'AA', 'late')")
        with pytest.raises(StatementRejectedError, match="Evaluation error") as raised:
            await until_changed(changes)
        assert raised.value.message.startswith("view delays cannot be followed: ")
        assert 'invalid input syntax for type integer: "late"' in raised.value.message
    with pytest.raises(StatementRejectedError, match="Evaluation error"):
        async with following(stack, "delays", key=["id"]) as (_, changes):
            await anext(changes)
    await stack.run("DELETE FROM flights")
    async with following(stack, "delays", key=["id"]) as (_, changes):
        assert is_empty_snapshot(await anext(changes))


async def test_a_view_that_is_missing_or_goes_says_what_to_do(stack: Stack) -> None:
    with pytest.raises(StatementRejectedError, match="there is no view delays") as raised:
        await stack.live.subscribe("delays").__aenter__()
    assert "thedata apply" in raised.value.hint
    await stack.apply(OBJECTS)
    with pytest.raises(StatementRejectedError, match="view delays has no column nope") as raised:
        await stack.live.subscribe("delays", key=["id", "nope"]).__aenter__()
    assert raised.value.hint == "its columns are carrier, id, delay"
    async with following(stack, "delays", key=["id"]) as (_, changes):
        await anext(changes)
        await stack.apply({"flights": TABLE})
        with pytest.raises(StatementRejectedError, match=r"delays.* was dropped") as raised:
            await until_changed(changes)
        assert "thedata apply" in raised.value.hint


async def test_a_server_that_is_killed_is_unreachable(tmp_path: Path) -> None:
    with running_emulator(tmp_path / "data") as emulator:
        async with connected(emulator, tmp_path) as stack:
            await stack.apply(OBJECTS)
            async with following(stack, "delays", key=["id"]) as (_, changes):
                await anext(changes)
                emulator.process.kill()
                with pytest.raises(ServiceUnreachableError):
                    await until_changed(changes)
                with pytest.raises(ServiceUnreachableError):
                    await stack.live.subscribe("delays").__aenter__()


async def test_closing_does_not_wait_for_the_server(stack: Stack) -> None:
    await stack.apply(OBJECTS)
    for after in range(0, 90, 3):
        opening = asyncio.create_task(stack.live.subscribe("delays", key=["id"]).__aenter__())
        for _ in range(after):
            await asyncio.sleep(0)
        began = time.monotonic()
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        assert time.monotonic() - began < 1
    async with following(stack, "delays", key=["id"]) as (_, changes):
        await anext(changes)
        waiting = asyncio.ensure_future(anext(changes))
        began = time.monotonic()
        waiting.cancel()
    assert time.monotonic() - began < 0.5


async def test_a_large_snapshot_is_told_whole(stack: Stack, record_property: Callable[[str, object], None]) -> None:
    await stack.apply(OBJECTS)
    rows = ", ".join(f"({number}, 'carrier {number % 16}', '{number % 90}')" for number in range(50_000))
    await stack.run(f"INSERT INTO flights VALUES {rows}")
    began = time.monotonic()
    async with following(stack, "delays", key=["id"]) as (_, changes):
        snapshot = await anext(changes)
    record_property("seconds of a snapshot of 50,000 rows", time.monotonic() - began)
    assert (snapshot.is_snapshot, len(snapshot.changes)) == (True, 50_000)


async def test_a_change_is_told_within_a_moment(stack: Stack, record_property: Callable[[str, object], None]) -> None:
    await stack.apply(OBJECTS)
    times = []
    async with following(stack, "delays", key=["id"]) as (_, changes):
        await anext(changes)
        for number in range(20):
            began = time.monotonic()
            await stack.run(f"INSERT INTO flights VALUES ({number}, 'AA', '5')")
            await until_changed(changes)
            times.append(time.monotonic() - began)
    record_property("seconds from a write to its change, p50", sorted(times)[10])
    assert sorted(times)[10] < 1
