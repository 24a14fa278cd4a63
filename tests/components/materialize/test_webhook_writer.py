"""The writer against the emulator: every value arrives, every row once, and bad rows hold up no others."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.components.batches import batch_of, value_of
from tests.components.materialize.emulator_process import Emulator, send, start_emulator, stop_emulator
from tests.components.materialize.stack import Stack, connected

from thedata_cli.component_api.contracts import Contract, ContractField, FieldType
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import Batch, CanWrite, RejectedRow
from thedata_cli.component_api.routes import Route
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError
from thedata_cli.plan.resources import ResourceId

pytestmark = pytest.mark.live

EVENTS = Contract("events", "events.>", (ContractField("id", FieldType.INT64), ContractField("note", FieldType.STRING)))
SOURCE = "CREATE SOURCE events FROM WEBHOOK BODY FORMAT JSON"
CHECK = (
    "CHECK (WITH (HEADERS, BODY AS body, SECRET webhook_key AS key)\n"
    "  constant_time_eq(decode(headers->'x-signature', 'base64'), hmac(body, key, 'sha256')))"
)

SIGNED = {"events": f"{SOURCE} {CHECK}", "webhook_key": "CREATE SECRET webhook_key AS :'webhook_key'"}


def route_to(source: str, contract: Contract = EVENTS) -> Route:
    return Route(
        "events", ResourceId("nats", "stream", "events"), "", contract, ResourceId("materialize", "source", source),
        "dead-letters", 5000, 0.05,
    )  # fmt: skip


def event(number: int, note: str = "") -> dict[str, Any]:
    return {"id": number, "note": note}


async def write(stack: Stack, *batches: Batch, source: str = "events") -> list[RejectedRow]:
    async with stack.live.open_writer(route_to(source, batches[0].contract)) as writer:
        return [row for batch in batches for row in await writer.write(batch)]


async def stored(stack: Stack) -> list[int]:
    return [row[0] for row in await stack.rows("SELECT (body->>'id')::int FROM events ORDER BY 1")]


EXTREMES: dict[FieldType, list[Any]] = {
    FieldType.STRING: ["", "'\"\\`\n\t\r", "Zürich 東京 🛫", "x" * 100_000, "null", "{}"],
    FieldType.BOOLEAN: [True, False],
    FieldType.INT8: [-128, 127],
    FieldType.INT64: [-(2**63), 2**63 - 1, 0],
    FieldType.FLOAT64: [1.7976931348623157e308, 5e-324, -0.1, 1e22, 1e23],
    FieldType.DATE: ["0001-01-01", "2024-02-29", "9999-12-31"],
    FieldType.TIMESTAMP: ["0001-01-02T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2013-03-10T02:30:00.5-05:00"],
    FieldType.UUID: ["00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"],
    FieldType.JSON: [{}, [], {"a": [1, 2.5, 1e22, None, "é\n\"'\\"], "b": {"c": True}}, [[["deep"]]]],
}  # fmt: skip
CASTS = {
    FieldType.STRING: "body->>'{}'", FieldType.BOOLEAN: "(body->>'{}')::boolean", FieldType.INT8: "(body->>'{}')::int2",
    FieldType.INT64: "(body->>'{}')::int8", FieldType.FLOAT64: "(body->>'{}')::float8",
    FieldType.DATE: "(body->>'{}')::date", FieldType.TIMESTAMP: "(body->>'{}')::timestamptz",
    FieldType.UUID: "(body->>'{}')::uuid", FieldType.JSON: "body->'{}'",
}  # fmt: skip


async def test_every_value_arrives_and_is_recognised_again(stack: Stack) -> None:
    fields = [ContractField(kind.value, kind, is_required=False, is_nullable=True) for kind in EXTREMES]
    contract = Contract("all", "all", tuple(fields))
    messages = [
        {kind.value: values[number % len(values)] for kind, values in EXTREMES.items()} for number in range(6)
    ] + [dict.fromkeys((kind.value for kind in EXTREMES), None)]
    columns = ", ".join(CASTS[kind].format(kind.value) + f' AS "{kind.value}"' for kind in EXTREMES)
    view = f"CREATE VIEW typed AS SELECT {columns}, (body->>'_sequence')::bigint AS sequence FROM events"
    await stack.apply({"events": SOURCE, "typed": view})
    assert await write(stack, batch_of(contract, messages)) == []
    found = await stack.rows("SELECT * FROM typed ORDER BY sequence")
    expected = [tuple(value_of(kind, message[kind.value]) for kind in EXTREMES) for message in messages]
    assert [row[:-1] for row in found] == expected
    assert [row[-1] for row in found] == list(range(1, 8))
    assert await write(stack, batch_of(contract, messages, again=True)) == []
    assert await stack.rows("SELECT count(*) FROM typed") == [(7,)]


async def test_rows_that_are_there_are_not_written_again(stack: Stack) -> None:
    await stack.apply({"events": SOURCE})
    assert isinstance(stack.live, CanWrite)
    async with stack.live.open_writer(route_to("events")) as writer:
        assert await writer.highest_sequence() == 0
        await writer.write(batch_of(EVENTS, [event(1), event(2)]))
        assert await writer.highest_sequence() == 2
        await writer.write(batch_of(EVENTS, [event(1), event(2), event(3)], again=True))
        assert await stored(stack) == [1, 2, 3]


async def test_a_stream_that_was_made_anew_counts_from_1_again(stack: Stack) -> None:
    await stack.apply({"events": SOURCE})
    await write(stack, batch_of(EVENTS, [event(1), event(2)]), batch_of(EVENTS, [event(1), event(3)], again=True))
    assert await stored(stack) == [1, 2, 3]


async def test_what_others_sent_does_not_disturb(stack: Stack, materialize: Emulator) -> None:
    await stack.apply({"events": SOURCE})
    async with stack.live.open_writer(route_to("events")) as writer:
        for body in ('{"_sequence": "x"}', '{"_sequence": 1.5}', "[]", "7", '{"_sequence": -1}'):
            send(materialize, "events", body)
        assert await writer.highest_sequence() == 0
        await writer.write(batch_of(EVENTS, [event(1)], again=True))
        assert await writer.highest_sequence() == 1


async def test_a_row_that_cannot_be_stored_is_told_and_the_others_are_stored(stack: Stack) -> None:
    await stack.apply({"events": SOURCE})
    messages = [event(number, "bad\x00" if number in (3, 17) else "") for number in range(1, 21)]
    rejected = await write(stack, batch_of(EVENTS, messages))
    assert [row.sequence for row in rejected] == [3, 17]
    assert all("failed to deserialize body as Jsonb" in row.reason for row in rejected)
    assert await stored(stack) == [number for number in range(1, 21) if number not in (3, 17)]


async def test_a_large_batch_is_several_requests_and_a_row_that_is_too_large_is_told(stack: Stack) -> None:
    await stack.apply({"events": SOURCE})
    sizes = [2**20, 3 * 2**20, 6 * 2**20, 5 * 2**20 - 1000, *[2**20] * 9]
    messages = [event(number, "x" * size) for number, size in enumerate(sizes, 1)]
    rejected = await write(stack, batch_of(EVENTS, messages))
    assert rejected == [RejectedRow(3, "Materialize: length limit exceeded")]
    assert await stored(stack) == [number for number in range(1, 14) if number != 3]
    requests = await stack.rows(
        "SELECT messages_received FROM mz_internal.mz_source_statistics t "
        "JOIN mz_catalog.mz_sources s ON s.id = t.id WHERE s.name = 'events'"
    )
    assert requests == [(Decimal(6),)]


async def test_rows_are_signed_with_the_secret_of_the_check(
    stack: Stack, materialize: Emulator, tmp_path: Path
) -> None:
    await stack.apply(SIGNED)
    await write(stack, batch_of(EVENTS, [event(1, "é")]))
    assert await stored(stack) == [1]
    async with connected(materialize, tmp_path, {"webhook_key": "another"}) as rotated:
        with pytest.raises(StatementRejectedError, match=r"failed to validate the request \(400\)") as raised:
            await write(rotated, batch_of(EVENTS, [event(2)]))
        assert "constant_time_eq" in raised.value.detail
        assert "base64 of the HMAC-SHA-256 of the body with the secret webhook_key" in raised.value.hint
        assert str(await rotated.apply(SIGNED)) == "update materialize/secret/webhook_key: value differs"
        await write(rotated, batch_of(EVENTS, [event(2)]))
        assert await stored(stack) == [1, 2]
    with pytest.raises(StatementRejectedError, match="failed to validate"):
        await write(stack, batch_of(EVENTS, [event(3)]))


async def test_a_secret_that_is_not_known_here_is_named(stack: Stack, materialize: Emulator, tmp_path: Path) -> None:
    await stack.apply(SIGNED)
    async with connected(materialize, tmp_path, {}) as other:
        with pytest.raises(StatementRejectedError, match="asks for the secret webhook_key, whose value is not known"):
            await write(other, batch_of(EVENTS, [event(1)]))


async def test_a_check_that_does_not_sign_is_shown(stack: Stack) -> None:
    await stack.apply({"events": f"{SOURCE} CHECK (WITH (HEADERS) headers->'x-key' = 'k')"})
    with pytest.raises(StatementRejectedError, match="failed to validate") as raised:
        await write(stack, batch_of(EVENTS, [event(1)]))
    assert "its CHECK has no SECRET" in raised.value.hint


@pytest.mark.parametrize("body_format", ["JSON ARRAY", "TEXT", "BYTES"])
async def test_a_source_that_takes_no_json_is_refused_at_once(stack: Stack, body_format: str) -> None:
    await stack.run(f"CREATE SOURCE events FROM WEBHOOK BODY FORMAT {body_format}")
    with pytest.raises(StatementRejectedError, match=f"source events takes {body_format}, and no rows"):
        await stack.live.open_writer(route_to("events")).__aenter__()


async def test_a_source_that_is_missing_or_went_away_says_what_to_do(stack: Stack) -> None:
    with pytest.raises(StatementRejectedError, match="there is no source events") as raised:
        await stack.live.open_writer(route_to("events")).__aenter__()
    assert raised.value.hint == "create it with `thedata apply`"
    await stack.apply({"events": SOURCE})
    async with stack.live.open_writer(route_to("events")) as writer:
        await stack.apply({})
        with pytest.raises(StatementRejectedError, match=r"no object was found .* \(404\)") as raised:
            await writer.write(batch_of(EVENTS, [event(1)]))
        assert "thedata apply" in raised.value.hint


async def test_a_server_that_is_killed_in_the_middle_makes_no_duplicates(tmp_path: Path) -> None:
    emulator = start_emulator(tmp_path / "data")
    batch = batch_of(EVENTS, [event(number, "x" * 2**20) for number in range(1, 41)])
    try:
        async with connected(emulator, tmp_path) as stack:
            await stack.apply({"events": SOURCE})
            async with stack.live.open_writer(route_to("events")) as writer:
                writing = asyncio.create_task(writer.write(batch))
                async with asyncio.timeout(30):
                    while not await stored(stack):
                        pass
                emulator.process.kill()
                with pytest.raises(ServiceUnreachableError):
                    await writing
        emulator.process.wait()
        emulator = start_emulator(tmp_path / "data")
        async with connected(emulator, tmp_path) as stack:
            assert 0 < len(await stored(stack)) < 40
            await write(stack, Batch(EVENTS, batch.rows, [row.sequence for row in batch.rows]))
            assert await stored(stack) == list(range(1, 41))
    finally:
        stop_emulator(emulator.process)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, StatementRejectedError),
        (400, StatementRejectedError),
        (429, ServiceUnreachableError),
        (503, ServiceUnreachableError),
        (0, ServiceUnreachableError),
    ],
)
async def test_no_answer_but_that_of_a_bad_row_makes_dead_letters(
    stack: Stack, materialize: Emulator, status: int, kind: type[Exception]
) -> None:
    """What the emulator does not answer when asked properly; 0 is a connection that is closed instead."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if status:
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno".encode())
        writer.close()

    await stack.apply({"events": SOURCE})
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        ports = {"sql": materialize.sql_port, "http": server.sockets[0].getsockname()[1]}
        async with stack.component.connect(Endpoint(materialize.host, ports), "flights") as live:
            assert isinstance(live, CanWrite)
            async with live.open_writer(route_to("events")) as writer:
                with pytest.raises(kind, match=f"{status}" if status else "does not answer"):
                    await writer.write(batch_of(EVENTS, [event(1), event(2)]))
