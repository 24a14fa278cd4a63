"""What a dead letter says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tests.pipeline.routes import route_to
from thedata_cli.component_api.live import StreamMessage
from thedata_cli.pipeline.dead_letters import dead_letter

MESSAGE = StreamMessage(
    stream="readings",
    subject="readings.cellar",
    sequence=17,
    time=datetime(2026, 1, 31, 12, tzinfo=UTC),
    headers={"Trace": "abc", "Nats-Msg-Id": "1", "nats-rollup": "all"},
    payload=b"\x00not json",
)


def test_it_keeps_the_payload_and_says_where_it_came_from_and_why() -> None:
    letter = dead_letter(route_to("questdb", "readings"), MESSAGE, "line 1\r\nNats-Rollup: all\tend")
    assert letter.subject == "dead-letters.readings-questdb-readings"
    assert letter.payload == b"\x00not json"
    assert letter.headers == {
        "Trace": "abc",
        "Thedata-Error": "line 1 Nats-Rollup: all end",
        "Thedata-Pipeline": "readings",
        "Thedata-Table": "questdb/readings",
        "Thedata-Stream": "readings",
        "Thedata-Subject": "readings.cellar",
        "Thedata-Sequence": "17",
        "Thedata-Time": "2026-01-31T12:00:00+00:00",
    }


def test_its_id_names_the_delivery_and_not_the_attempt() -> None:
    route = route_to("questdb", "readings")
    first = dead_letter(route, MESSAGE, "one reason")
    assert dead_letter(route, MESSAGE, "another").id == first.id
    assert dead_letter(route, replace(MESSAGE, sequence=18), "one reason").id != first.id
    later = replace(MESSAGE, time=datetime(2026, 2, 1, tzinfo=UTC))
    assert dead_letter(route, later, "one reason").id != first.id
    assert dead_letter(route_to("clickhouse", "readings"), MESSAGE, "one reason").id != first.id
