"""Rows on their way into tables: every type as it was, bad rows apart, nothing twice, nothing lost."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from pathlib import Path
from typing import Any, cast

import pytest
from tests.components.questdb.cases import (
    COMPONENT,
    DEPARTURES,
    apply,
    batch,
    count,
    departures,
    project,
    route,
    rows,
    run,
    settled,
    table,
)
from tests.components.questdb_process import QuestDBServer, running_questdb

from thedata_cli.component_api.contracts import Contract, ContractField, FieldType
from thedata_cli.components.questdb.live import QuestDBLive
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError
from thedata_cli.plan.changes import Step

pytestmark = pytest.mark.live

EVERY_TYPE = Contract(
    "every",
    "every",
    (
        ContractField("at", FieldType.TIMESTAMP),
        *(ContractField(f"r_{kind}", kind) for kind in FieldType),
        *(ContractField(f"n_{kind}", kind, is_nullable=True) for kind in FieldType),
        ContractField("s", FieldType.STRING, is_symbol=True),
        ContractField("ns", FieldType.STRING, is_symbol=True, is_required=False),
    ),
    event_time="at",
)

TEXTS = [
    "",
    "plain",
    "Ünï 🛫 \u202e",
    "\"quotes\" and 'quotes'",
    "back\\slash",
    "a,b=c d",
    "line\nbreak\r\ttab",
    "null",
    "NaN",
]
UTC = datetime.UTC


def message(number: int, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a message and the values that its row must have."""
    is_high = number % 2 == 0
    id_ = uuid.UUID(int=number * 2**90 + 1)
    values: dict[str, Any] = {
        "string": text,
        "boolean": is_high,
        "int8": 127 if is_high else -128,
        "int16": 32767 if is_high else -32768,
        "int32": 2**31 - 1 if is_high else -(2**31) + 1,
        "int64": 2**63 - 1 if is_high else -(2**63) + 1,
        "float32": 0.5 if is_high else -3.4028234663852886e38,
        "float64": 1.7976931348623157e308 if is_high else 5e-324,
        "date": datetime.date(9999, 12, 31) if is_high else datetime.date(1, 1, 1),
        "timestamp": datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)
        if is_high
        else datetime.datetime(1, 1, 1, tzinfo=UTC),
        "uuid": id_,
        "json": {"text": text, "list": [1, None, 2.5]},
    }
    at = datetime.datetime(2024, 1, 1, 0, 0, number, 123456, tzinfo=UTC)
    sent: dict[str, Any] = {"at": at, "s": text}
    sent |= {f"r_{kind}": value for kind, value in values.items()}
    sent |= {f"n_{kind}": None if number % 3 == 0 else value for kind, value in values.items()}
    if number % 3:
        sent["ns"] = text
    return sent, {"at": at, "ns": None} | sent


def as_stored(name: str, value: Any) -> Any:
    """Return a value as a query of its column returns it."""
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return datetime.datetime(value.year, value.month, value.day, tzinfo=UTC)
    if name == "n_boolean" and value is not None:
        return "true" if value else "false"
    return value


async def test_every_type_comes_out_as_it_went_in(live: QuestDBLive) -> None:
    import msgspec

    fed = [route(EVERY_TYPE, "every")]
    await apply(live, project(table("every", contract="every"), contracts=[EVERY_TYPE], routes=fed))
    messages = [message(number, text) for number, text in enumerate(TEXTS * 2, 1)]
    async with live.open_writer(fed[0]) as writer:
        rejected = await writer.write(batch(rows(EVERY_TYPE, *(sent for sent, _ in messages)), EVERY_TYPE))
    assert not rejected
    await settled(live, "every")
    async with live.query("SELECT * FROM every ORDER BY _sequence") as result:
        names = [column.name for column in result.columns]
        found = [dict(zip(names, row, strict=True)) async for block in result.blocks() for row in block]
    assert [row["_sequence"] for row in found] == list(range(1, len(messages) + 1))
    for row, (_, expected) in zip(found, messages, strict=True):
        for name, value in expected.items():
            stored = msgspec.json.decode(row[name]) if name.endswith("_json") and row[name] else row[name]
            expect = pytest.approx(value, rel=1e-7) if name.endswith("_float32") and value else as_stored(name, value)
            assert stored == expect, name


async def test_bad_rows_are_returned_and_never_block_the_others(live: QuestDBLive) -> None:
    contract = Contract(
        "c",
        "c",
        (
            ContractField("at", FieldType.TIMESTAMP),
            ContractField("id", FieldType.STRING),
            ContractField("n", FieldType.INT32),
            ContractField("note\nwith line", FieldType.STRING, is_required=False),
        ),
        event_time="at",
    )
    contract = Contract("c", "c", (*contract.fields[:3], ContractField("note", FieldType.STRING)), event_time="at")
    declared = table("c", contract="c", columns=[{"name": "id", "type": "UUID"}])
    fed = route(contract, "c")
    await apply(live, project(declared, contracts=[contract], routes=[fed]))
    good = {"at": "2024-01-01T00:00:00Z", "id": str(uuid.UUID(int=1)), "n": 1, "note": "two\nlines\n"}
    bad = {
        3: good | {"id": "no uuid"},
        4: good | {"n": -(2**31)},
        5: good | {"at": "1969-12-31T23:59:59Z"},
        9: good | {"id": "no uuid either"},
        20: good | {"id": "neither"},
    }
    messages = [bad.get(number, good) for number in range(1, 21)]
    async with live.open_writer(fed) as writer:
        rejected = await writer.write(batch(rows(contract, *messages), contract))
        all_bad = await writer.write(batch(rows(contract, *[bad[3]] * 50, first=100), contract))
    assert {row.sequence for row in rejected} == set(bad)
    reasons = {row.sequence: row.reason for row in rejected}
    assert "id" in reasons[3]
    assert "UUID" in reasons[3]
    assert "means null" in reasons[4]
    assert "before 1970" in reasons[5]
    assert len(all_bad) == 50
    assert await count(live, "c") == 15


async def test_a_batch_written_twice_is_there_once(live: QuestDBLive) -> None:
    await apply(live, project(table(contract="departures"), routes=[route()]))
    async with live.open_writer(route()) as writer:
        assert await writer.highest_sequence() == 0
        await writer.write(batch(departures(1, 100)))
        await writer.write(batch(departures(51, 150), may_be_present=range(51, 101)))
        assert await writer.highest_sequence() == 150
    assert await count(live, "departures") == 150


async def test_a_table_without_dedup_keys_gets_only_what_is_missing(live: QuestDBLive) -> None:
    await apply(live, project(table(contract="departures", dedup_keys=[]), routes=[route()]))
    async with live.open_writer(route()) as writer:
        await writer.write(batch(departures(1, 100)))
        await writer.write(batch(departures(51, 150), may_be_present=range(51, 151)))
        # The stream was made anew: the same numbers, other messages.
        await writer.write(batch(departures(1, 10, carrier="XX"), may_be_present=range(1, 11)))
    assert await count(live, "departures") == 160


async def test_a_missing_table_and_a_missing_column_are_told(live: QuestDBLive) -> None:
    with pytest.raises(StatementRejectedError, match="no table departures") as missing:
        async with live.open_writer(route()):
            pass
    assert "thedata apply" in missing.value.hint
    await apply(live, project(table(contract="departures"), routes=[route()]))
    async with live.open_writer(route()) as writer:
        await live.execute(Step('ALTER TABLE "departures" DROP COLUMN "delay_minutes"'))
        with pytest.raises(StatementRejectedError, match="delay_minutes"):
            await writer.write(batch(departures(1, 10)))
        await live.execute(Step('DROP TABLE "departures"'))
        with pytest.raises(StatementRejectedError, match="does not exist"):
            await writer.write(batch(departures(1, 10)))
    assert await run(live, "SELECT table_name FROM tables() WHERE table_name = 'departures'") == []


async def test_rows_are_not_blamed_for_a_column_that_has_changed(live: QuestDBLive) -> None:
    await apply(live, project(table(contract="departures"), routes=[route()]))
    async with live.open_writer(route()) as writer:
        await live.execute(Step('ALTER TABLE "departures" ALTER COLUMN "flight" TYPE VARCHAR'))
        with pytest.raises(StatementRejectedError, match="has changed"):
            await writer.write(batch(departures(1, 10)))
    await live.execute(Step('ALTER TABLE "departures" ALTER COLUMN "flight" TYPE LONG'))
    async with live.open_writer(route()) as writer:
        assert not await writer.write(batch(departures(1, 10)))
    assert await count(live, "departures") == 10


async def test_a_cancelled_write_leaves_nothing_behind_that_breaks_the_next(live: QuestDBLive) -> None:
    await apply(live, project(table(contract="departures"), routes=[route()]))
    async with live.open_writer(route()) as writer:
        writing = asyncio.create_task(writer.write(batch(departures(1, 20_000))))
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    async with live.open_writer(route()) as writer:
        assert not await writer.write(batch(departures(1, 20_000), may_be_present=range(1, 20_001)))
    assert await count(live, "departures") == 20_000


async def test_a_suspended_table_is_told_with_the_way_out(live: QuestDBLive) -> None:
    declared = table(contract="departures", columns=[{"name": "price", "type": "DECIMAL(10,2)"}])
    await apply(live, project(declared, routes=[route()]))
    await run(live, "INSERT INTO departures (scheduled_at) VALUES ('2024-01-01')")
    # The server accepts this change and cannot apply it: the one sure way into a suspended table.
    with pytest.raises(StatementRejectedError, match="suspended"):
        await live.execute(Step('ALTER TABLE "departures" ALTER COLUMN "price" TYPE LONG'))
    with pytest.raises(StatementRejectedError, match="suspended") as suspended:
        async with live.open_writer(route()):
            pass
    assert "RESUME WAL" in suspended.value.hint
    failed = [check for check in await live.check() if check.status == "failed"]
    assert [check.name for check in failed] == ["questdb.wal"]
    assert "departures" in failed[0].summary


async def test_killed_in_the_middle_of_writes_nothing_is_lost_or_doubled(data_dir: Path) -> None:
    """Write as the worker does, the same batch until it is confirmed, while the server is killed and started again."""
    ports = None
    written, doubtful = 0, 0
    for round_ in range(3):
        with running_questdb(data_dir, ports=ports) as server:
            ports = dict(server.endpoint.ports)
            async with COMPONENT.connect(server.endpoint, "flights") as connected:
                live = cast(QuestDBLive, connected)
                view = project(table(contract="departures", dedup_keys=[]), routes=[route()])
                await apply(live, view)
                assert await count(live, "departures") >= written
                written, doubtful = await write_until_killed(live, server, written, doubtful, is_last=round_ == 2)
                if round_ == 2:
                    assert await count(live, "departures") == written
                    distinct = await run(live, "SELECT count_distinct(_sequence) FROM departures")
                    assert distinct == [(written,)]


async def write_until_killed(
    live: QuestDBLive, server: QuestDBServer, written: int, doubtful: int, *, is_last: bool
) -> tuple[int, int]:
    """Return the last confirmed sequence and the last one that may be there."""
    begun_with = written
    async with live.open_writer(route()) as writer:
        while True:
            last = written + 200
            if not is_last and written >= begun_with + 1000:
                asyncio.get_running_loop().call_later(0.001, server.process.kill)
            try:
                await writer.write(
                    batch(departures(written + 1, last), may_be_present=range(written + 1, doubtful + 1))
                )
            except ServiceUnreachableError:
                return written, last
            written = last
            if is_last and written >= begun_with + 1000:
                return written, written


async def test_a_server_that_is_away_is_unreachable(data_dir: Path) -> None:
    with running_questdb(data_dir) as server:
        async with COMPONENT.connect(server.endpoint, "flights") as connected:
            live = cast(QuestDBLive, connected)
            await apply(live, project(table(contract="departures"), routes=[route()]))
            async with live.open_writer(route()) as writer:
                server.process.kill()
                server.process.wait()
                with pytest.raises(ServiceUnreachableError):
                    await writer.write(batch(departures(1, 10)))
                with pytest.raises(ServiceUnreachableError):
                    await live.observe()


def test_the_contract_of_these_tests_has_every_type() -> None:
    assert {field.type for field in EVERY_TYPE.fields} == set(FieldType)
    assert DEPARTURES.key
