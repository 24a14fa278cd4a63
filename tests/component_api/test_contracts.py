"""What a contract accepts, refuses, and takes for the same event."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from thedata_cli.component_api.contracts import Contract, ContractField, FieldType

CONTRACT = Contract(
    "events",
    "events.>",
    (
        ContractField("at", FieldType.TIMESTAMP),
        ContractField("kind", FieldType.STRING, constraints={"min_length": 2}),
        ContractField("small", FieldType.INT8, is_required=False, is_nullable=True, constraints={"gt": 5, "lt": 1000}),
        ContractField("ratio", FieldType.FLOAT32, is_required=False, is_nullable=True),
        ContractField("details", FieldType.JSON, is_required=False, is_nullable=True),
        ContractField("tags", FieldType.JSON, is_required=False, is_nullable=True),
    ),
    event_time="at",
    key=("at", "kind"),
)


def message(**fields: Any) -> bytes:
    return json.dumps({"at": "2026-01-31T12:00:00Z", "kind": "ab", **fields}).encode()


def test_fields_that_are_missing_are_null() -> None:
    row = CONTRACT.decoder.decode(message())
    assert msgspec.structs.astuple(row)[2:] == (None, None, None, None, 0)


def test_objects_and_arrays_stay_text_and_null_is_null() -> None:
    row = CONTRACT.decoder.decode(b'{"at":"2026-01-31T12:00:00Z","kind":"ab","details":{"a": [1]},"tags":null}')
    details, tags = msgspec.structs.astuple(row)[4:6]
    assert bytes(details) == b'{"a": [1]}'
    assert tags is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"at":"2026-01-31T12:00:00","kind":"ab"}', "timezone"),
        (b'{"at":"2026-01-31T12:00:00Z","kind":"\xff"}', "utf-8"),
        (b'{"at":"2026-01-31T12:00:00Z","kind":"ab","tags":["\xff"]}', "utf-8"),
        (b'{"at":"2026-01-31T12:00:00Z","kind":"ab","tags":' + b"[" * 100_000, "nested too deep"),
        (message(kind="a"), "length >= 2 - at `$.kind`"),
        (message(at="0001-01-01T00:00:00+14:00"), "outside the years"),
        (message(at="9999-12-31T23:00:00-01:00"), "outside the years"),
        (message(small=5), "`int` >= 6 - at `$.small`"),
        (message(small=128), "`int` <= 127 - at `$.small`"),
        (message(ratio=1e39), "at `$.ratio`"),
        (message(details=5), "Expected `object` or `array` - at `$.details`"),
        (message(unknown=1), "unknown field `unknown`"),
        (message(_sequence=7), "unknown field `_sequence`"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_place(payload: bytes, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        CONTRACT.decoder.decode(payload)
    assert reason in str(caught.value)


def test_the_same_instant_is_the_same_event_whatever_its_offset() -> None:
    decoder = CONTRACT.decoder
    ids = {
        decoder.message_id(decoder.decode(message(at=at)))
        for at in ("2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00.000000Z")
    }
    assert ids == {"events|2026-01-31T12:00:00+00:00|ab"}


def test_values_of_a_key_cannot_run_into_each_other_or_break_a_header() -> None:
    contract = Contract(
        "pairs",
        "pairs.>",
        (ContractField("one", FieldType.STRING), ContractField("two", FieldType.STRING)),
        key=("one", "two"),
    )
    decoder = contract.decoder
    rows = [{"one": "a|b", "two": "c"}, {"one": "a", "two": "b|c"}, {"one": "a\r\nNats-Rollup: all", "two": ""}]
    ids = [decoder.message_id(decoder.decode(json.dumps(row).encode())) for row in rows]
    assert len(set(ids)) == 3
    assert not any(character in text for text in ids for character in "\r\n")
