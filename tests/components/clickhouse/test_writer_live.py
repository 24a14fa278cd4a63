"""The writer against the real engine: every value arrives, every row once, and bad rows hold up no others."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.components.batches import batch_of, value_of
from tests.components.clickhouse.server_process import ClickHouseServer, start_clickhouse, stop_clickhouse
from tests.components.clickhouse.stack import Stack, connected, table

from thedata_cli.component_api.contracts import SEQUENCE_COLUMN, Contract, ContractField, FieldType
from thedata_cli.component_api.live import Batch
from thedata_cli.component_api.routes import Route
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError
from thedata_cli.plan.resources import ResourceId

pytestmark = pytest.mark.live

EVENTS = Contract(
    "events", "events.>",
    (
        ContractField("at", FieldType.TIMESTAMP),
        ContractField("id", FieldType.INT64),
        ContractField("note", FieldType.STRING, is_required=False, is_nullable=True),
    ),
    event_time="at", key=("id",),
)  # fmt: skip


def route_for(contract: Contract) -> Route:
    return Route(
        "events", ResourceId("nats", "stream", "events"), "", contract, ResourceId("clickhouse", "table", "events"),
        "dead-letters", 5000, 0.5,
    )  # fmt: skip


def event(number: int, month: int = 1) -> dict[str, Any]:
    return {"at": f"2013-{month:02}-01T00:00:00Z", "id": number, "note": f"n{number}"}


async def declare(stack: Stack, contract: Contract, **values: Any) -> None:
    stack.contracts = {contract.name: contract}
    stack.routes = (route_for(contract),)
    await stack.apply(table("events", contract=contract.name, **values))


EXTREMES: dict[FieldType, list[Any]] = {
    FieldType.STRING: ["", "'\"\\`\n\t\x00", "Zürich 東京 🛫", "x" * 100_000, "null", "{}"],
    FieldType.BOOLEAN: [True, False],
    FieldType.INT8: [-128, 127],
    FieldType.INT16: [-(2**15), 2**15 - 1],
    FieldType.INT32: [-(2**31), 2**31 - 1],
    FieldType.INT64: [-(2**63), 2**63 - 1, 0],
    FieldType.FLOAT32: [3.4028234663852886e38, -1.5, 0.0],
    FieldType.FLOAT64: [1.7976931348623157e308, 5e-324, -0.1, 1e22],
    FieldType.DATE: ["0001-01-01", "1969-12-31", "2024-02-29", "9999-12-31"],
    FieldType.TIMESTAMP: [
        "0001-01-02T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2013-03-10T02:30:00.5-05:00",
        "9999-12-30T23:59:59.999999Z",
    ],
    FieldType.UUID: ["00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"],
    FieldType.JSON: [{}, [], {"a": [1, 2.5, None, "é\n\"'\\"], "b": {"c": True}}, [[["deep"]]]],
}  # fmt: skip


def as_stored(kind: FieldType, value: Any) -> Any:
    """The Python object that a query gives for a value of a message."""
    if kind is FieldType.FLOAT32 and value is not None:
        return pytest.approx(value, rel=1e-7)
    return value_of(kind, value)


@pytest.mark.parametrize("is_symbol", [False, True])
async def test_every_value_of_every_type_arrives(stack: Stack, is_symbol: bool) -> None:
    fields = [ContractField("at", FieldType.TIMESTAMP)]
    for kind in FieldType:
        fields.append(ContractField(f"{kind} must", kind, is_symbol=is_symbol))
        fields.append(ContractField(f"{kind} may", kind, is_required=False, is_nullable=True, is_symbol=is_symbol))
    contract = Contract("events", "events.>", tuple(fields), event_time="at")
    messages = []
    for index in range(max(map(len, EXTREMES.values()))):
        message: dict[str, Any] = {"at": "2013-01-01T00:00:00Z"}
        for kind, values in EXTREMES.items():
            message[f"{kind} must"] = values[index % len(values)]
            if index:
                message[f"{kind} may"] = None if index == 1 else values[-index % len(values)]
        messages.append(message)
    await declare(stack, contract)
    async with stack.live.open_writer(route_for(contract)) as writer:
        assert await writer.write(batch_of(contract, messages)) == []

    names = ", ".join(f"`{field.name}`" for field in fields)
    stored = await stack.rows(f"SELECT {names} FROM events ORDER BY `{SEQUENCE_COLUMN}`")
    for message, row in zip(messages, stored, strict=True):
        for field, value in zip(fields, row, strict=True):
            found = json.loads(value) if field.type is FieldType.JSON and value is not None else value
            assert found == as_stored(field.type, message.get(field.name)), field.name


async def test_values_that_the_engine_would_change_without_a_word_are_rejected(stack: Stack) -> None:
    kinds = {
        "u8": (FieldType.INT32, "UInt8", 256, 255),
        "day": (FieldType.DATE, "Date", "1969-12-31", "1970-01-01"),
        "second": (FieldType.TIMESTAMP, "DateTime('UTC')", "2106-02-07T06:28:16Z", "2106-02-07T06:28:15Z"),
        "nano": (FieldType.TIMESTAMP, "DateTime64(9, 'UTC')", "2300-01-01T00:00:00Z", "2200-01-01T00:00:00Z"),
        "single": (FieldType.FLOAT64, "Float32", 1e39, 1.5),
        "choice": (FieldType.STRING, "Enum8('a' = 1, 'b' = 2)", "c", "b"),
        "code": (FieldType.STRING, "FixedString(2)", "abc", "ab"),
        "price": (FieldType.FLOAT64, "Decimal(5, 2)", 12345.5, 123.25),
        "address": (FieldType.STRING, "IPv4", "1.2.3.400", "1.2.3.4"),
    }
    fields = tuple(ContractField(name, kind, is_required=False, is_nullable=True) for name, (kind, *_) in kinds.items())
    contract = Contract("events", "events.>", fields)
    columns = [{"name": name, "type": f"Nullable({column})"} for name, (_, column, *_) in kinds.items()]
    await declare(stack, contract, columns=columns)
    messages = [{name: bad} for name, (_, _, bad, _) in kinds.items()] + [
        {name: good} for name, (*_, good) in kinds.items()
    ]
    async with stack.live.open_writer(route_for(contract)) as writer:
        rejected = await writer.write(batch_of(contract, messages))
    reasons = {row.sequence: row.reason for row in rejected}
    assert list(reasons) == list(range(1, len(kinds) + 1))
    assert "u8: 256 does not fit Nullable(UInt8) (0 to 255)" in reasons[1]
    assert all(name in reasons[number] for number, name in enumerate(kinds, 1)), reasons
    stored = await stack.rows(f"SELECT * EXCEPT (`{SEQUENCE_COLUMN}`) FROM events ORDER BY `{SEQUENCE_COLUMN}`")
    assert [[str(value) for value in row if value is not None] for row in stored] == [
        ["255"], ["1970-01-01"], ["2106-02-07 06:28:15+00:00"], ["2200-01-01 00:00:00+00:00"], ["1.5"], ["b"], ["ab"],
        ["123.25"], ["1.2.3.4"],
    ]  # fmt: skip


async def test_a_batch_written_again_makes_no_duplicates(stack: Stack) -> None:
    await declare(stack, EVENTS, partition_by="toYYYYMM(at)")
    messages = [event(number, month=number % 12 + 1) for number in range(300)]
    async with stack.live.open_writer(route_for(EVENTS)) as writer:
        assert await writer.highest_sequence() == 0
        await writer.write(batch_of(EVENTS, messages))
        # Without a word of warning, as after a broken connection: the server knows the token.
        await writer.write(batch_of(EVENTS, messages))
        # Grouped in another way, as after a crash of the worker.
        await writer.write(batch_of(EVENTS, messages[:100], again=True))
        await writer.write(batch_of(EVENTS, [*messages[100:], event(300)], first=101, again=True))
        assert await writer.highest_sequence() == 301
    rows = await stack.rows(f"SELECT count(), uniqExact(`{SEQUENCE_COLUMN}`), uniqExact(id) FROM events")
    assert rows == [(301, 301, 301)]


async def test_only_the_missing_part_of_a_batch_is_written(stack: Stack) -> None:
    await declare(stack, EVENTS, partition_by="toYYYYMM(at)")
    messages = [event(number, month=number % 3 + 1) for number in range(30)]
    async with stack.live.open_writer(route_for(EVENTS)) as writer:
        await writer.write(batch_of(EVENTS, messages))
        # As if the server had died between two partitions of the insert.
        await stack.rows("ALTER TABLE events DROP PARTITION 201302")
        await writer.write(batch_of(EVENTS, [*messages, event(30)], again=True))
    assert await stack.rows(f"SELECT count(), uniqExact(`{SEQUENCE_COLUMN}`) FROM events") == [(31, 31)]


async def test_a_stream_that_was_made_anew_counts_from_one_again_and_loses_nothing(stack: Stack) -> None:
    await declare(stack, EVENTS)
    async with stack.live.open_writer(route_for(EVENTS)) as writer:
        await writer.write(batch_of(EVENTS, [event(1), event(2)]))
        await writer.write(batch_of(EVENTS, [event(3), event(4)], again=True))
    assert await stack.rows("SELECT id FROM events ORDER BY id") == [(1,), (2,), (3,), (4,)]


async def test_bad_rows_hold_up_no_others(stack: Stack) -> None:
    contract = Contract(
        "events", "events.>", (ContractField("id", FieldType.INT64), ContractField("choice", FieldType.STRING))
    )
    await declare(stack, contract, columns=[{"name": "choice", "type": "Enum8('a' = 1)"}])
    messages = [{"id": number, "choice": "b" if number % 10 == 0 else "a"} for number in range(100)]
    async with stack.live.open_writer(route_for(contract)) as writer:
        rejected = await writer.write(batch_of(contract, messages))
        assert [row.sequence for row in rejected] == list(range(1, 101, 10))
        assert await writer.write(batch_of(contract, [{"id": 1, "choice": "z"}], first=200)) != []
        # Sent again as a whole, the same rows are bad and none is doubled.
        again = await writer.write(batch_of(contract, messages, again=True))
    assert [row.sequence for row in again] == list(range(1, 101, 10))
    assert await stack.rows("SELECT count(), uniqExact(id) FROM events") == [(90, 90)]


async def test_a_missing_table_is_told_and_found_once_it_is_there(stack: Stack) -> None:
    async with stack.live.open_writer(route_for(EVENTS)) as writer:
        with pytest.raises(StatementRejectedError, match="does not exist") as raised:
            await writer.write(batch_of(EVENTS, [event(1)]))
        assert "thedata apply" in raised.value.hint
        with pytest.raises(StatementRejectedError):
            await writer.highest_sequence()
        await declare(stack, EVENTS)
        assert await writer.write(batch_of(EVENTS, [event(1)])) == []
        await stack.rows("ALTER TABLE events DROP COLUMN note")
        with pytest.raises(StatementRejectedError):
            await writer.write(batch_of(EVENTS, [event(2)], first=2))
        with pytest.raises(StatementRejectedError, match="no column 'note'"):
            await writer.write(batch_of(EVENTS, [event(2)], first=2))


async def test_a_server_killed_while_it_writes_neither_loses_nor_doubles_a_row(tmp_path: Path) -> None:
    messages = [event(number, month=number % 12 + 1) for number in range(20_000)]
    batches = [batch_of(EVENTS, messages[start : start + 2000], first=start + 1) for start in range(0, 20_000, 2000)]
    done = 0
    for delay_s in (0.0, 0.02, None):
        server = start_clickhouse(tmp_path / "data")
        try:
            async with connected(server, database="flights") as stack:
                await declare(stack, EVENTS, partition_by="toYYYYMM(at)")
                done = await _write_until_killed(stack, server, batches, done, delay_s)
                if delay_s is None:
                    counts = await stack.rows(
                        f"SELECT count(), uniqExact(`{SEQUENCE_COLUMN}`), uniqExact(id) FROM events"
                    )
                    assert counts == [(20_000, 20_000, 20_000)]
        finally:
            if server.process.poll() is None:
                stop_clickhouse(server.process)


async def _write_until_killed(
    stack: Stack, server: ClickHouseServer, batches: Sequence[Batch], done: int, delay_s: float | None
) -> int:
    """Write what is not yet confirmed; kill the server in the middle unless `delay_s` is None."""
    async with stack.live.open_writer(route_for(EVENTS)) as writer:
        for position, batch in enumerate(batches[done:]):
            doubtful = [row.sequence for row in batch.rows] if position == 0 else []
            writing = asyncio.ensure_future(writer.write(Batch(EVENTS, batch.rows, doubtful)))
            if delay_s is not None and position == 2:
                await asyncio.wait([writing], timeout=delay_s)
                os.kill(server.process.pid, signal.SIGKILL)
                server.process.wait()
            try:
                await writing
            except ServiceUnreachableError:
                return done
            done += 1
            if server.process.poll() is not None:
                return done
    return done
