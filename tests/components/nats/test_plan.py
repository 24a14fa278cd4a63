"""What a plan of streams and consumers says: two literals in, its text out; and on a real server, what it does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from tests.components.nats.cases import COMPONENT, apply, plan_of, project, read, route, stream

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.live import OutgoingMessage
from thedata_cli.components.nats.kinds import stream_id
from thedata_cli.components.nats.live import NatsLive
from thedata_cli.errors import RefusedError
from thedata_cli.plan.changes import Plan, Step
from thedata_cli.plan.make_plan import make_plan
from thedata_cli.plan.resources import Resource

HELD = {"messages": 120, "bytes": 9_000}


def plan(before: ProjectView | None, after: ProjectView, state: dict[str, Any] | None = None) -> Plan:
    """The plan from one project to another, as if the first had been applied and messages had come."""
    observed = [_observed(resource, state or {}) for resource in COMPONENT.resources(before)] if before else []
    return make_plan(project="flights", desired=COMPONENT.resources(after), observed=observed, kinds=COMPONENT.kinds)


def _observed(resource: Resource, state: dict[str, Any]) -> Resource:
    if resource.id.kind == "consumer":
        return Resource(
            resource.id,
            {**resource.spec, "delivered": 70, "acknowledged": 50},
            depends_on=resource.depends_on,
            inside=resource.inside,
            managed_by="flights",
        )
    return Resource(resource.id, {**resource.spec, **state}, managed_by="flights")


def test_streams_come_before_their_consumers_and_dead_letters_by_themselves() -> None:
    view = project(stream(consumers=[{"name": "audit"}]), routes=[route()])
    assert str(plan(None, view)).splitlines() == [
        "create nats/stream/dead-letters: declared, not found",
        "create nats/stream/departures: declared, not found",
        "create nats/consumer/departures/audit: declared, not found",
        "create nats/consumer/departures/departures-questdb-departures: declared, not found",
    ]


def test_a_step_is_the_request_that_is_sent() -> None:
    created = plan(None, project(stream(max_age="30d", metadata={"team": "ops"}))).changes[0]
    assert [step.call for step in created.steps] == ["$JS.API.STREAM.CREATE.departures"]
    config = json.loads(created.steps[0].body)
    assert config["max_age"] == 2_592_000_000_000_000
    assert config["metadata"] == {"team": "ops", "thedata.project": "flights"}
    assert config["duplicate_window"] == 120_000_000_000

    consumer = plan(None, project(stream(consumers=[{"name": "audit", "deliver": {"start_sequence": 7}}]))).changes[1]
    assert [step.call for step in consumer.steps] == ["$JS.API.CONSUMER.CREATE.departures.audit"]
    request = json.loads(consumer.steps[0].body)
    assert (request["stream_name"], request["action"]) == ("departures", "create")
    assert (request["config"]["deliver_policy"], request["config"]["opt_start_seq"]) == ("by_start_sequence", 7)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, "no changes"),
        ({}, {"description": "new"}, "update nats/stream/departures: description differs"),
        ({}, {"max_bytes": "1GB", "max_age": "1h"}, "max_age, max_bytes differ [loses messages older than 3600s]"),
        ({"max_age": "1h"}, {"max_age": "2h"}, "update nats/stream/departures: max_age differs"),
        (
            {"max_messages": 500},
            {"max_messages": 100},
            "max_messages differs [loses the oldest messages beyond 100 messages (it holds 120)]",
        ),
        ({"max_messages": 500}, {"max_messages": 120}, "update nats/stream/departures: max_messages differs"),
        ({}, {"max_bytes": 8000}, "max_bytes differs [loses the oldest messages beyond 8000 bytes (it holds 9000)]"),
        ({"discard": "new"}, {"discard": "new", "max_bytes": 8000}, "update nats/stream/departures: max_bytes differs"),
        (
            {},
            {"max_messages_per_subject": 1},
            "max_messages_per_subject differs [loses all but the last 1 messages of each subject]",
        ),
        ({}, {"retention": "interest"}, "retention differs [loses messages that no consumer waits for]"),
        (
            {},
            {"storage": "memory"},
            "replace nats/stream/departures: storage differs; storage cannot be changed in place "
            "[loses its 120 messages (9000 bytes)]",
        ),
        (
            {},
            {"retention": "workqueue", "description": "jobs"},
            "replace nats/stream/departures: description, retention differ; retention cannot be changed in place "
            "[loses its 120 messages (9000 bytes)]",
        ),
        ({}, {"deny_purge": True}, "update nats/stream/departures: deny_purge differs"),
        ({"deny_purge": True}, {}, "replace nats/stream/departures: deny_purge differs; deny_purge cannot be"),
        ({"allow_message_ttl": True}, {}, "allow_message_ttl cannot be changed in place"),
    ],
)
def test_a_changed_stream(before: dict[str, Any], after: dict[str, Any], expected: str) -> None:
    assert expected in str(plan(project(stream(**before)), project(stream(**after)), HELD))


def test_an_empty_stream_loses_nothing() -> None:
    changed = plan(project(stream()), project(stream(storage="memory", max_messages=1)), {"messages": 0, "bytes": 0})
    assert [change.loses for change in changed.changes] == [""]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"ack_wait": "1m"}, "update nats/consumer/departures/audit: ack_wait differs"),
        (
            {},
            {"filter_subjects": ["departures.late"]},
            "update nats/consumer/departures/audit: filter_subjects differs",
        ),
        (
            {},
            {"deliver": "new"},
            "replace nats/consumer/departures/audit: deliver differs; deliver cannot be changed in place "
            "[loses its progress (acknowledged up to message 50)]",
        ),
        ({"deliver": {"start_sequence": 1}}, {"deliver": {"start_sequence": 2}}, "deliver.start_sequence cannot be"),
    ],
)
def test_a_changed_consumer(before: dict[str, Any], after: dict[str, Any], expected: str) -> None:
    def view(attributes: dict[str, Any]) -> ProjectView:
        return project(stream(consumers=[{"name": "audit", **attributes}]))

    assert expected in str(plan(view(before), view(after)))


def test_what_is_no_longer_declared_goes_consumers_with_their_stream() -> None:
    before = project(stream(consumers=[{"name": "audit"}]), stream("arrivals", consumers=[{"name": "audit"}]))
    assert set(str(plan(before, project(stream()), HELD)).splitlines()) == {
        "delete nats/consumer/departures/audit: no longer declared "
        "[loses its progress (acknowledged up to message 50)]",
        "delete nats/stream/arrivals: no longer declared [loses its 120 messages (9000 bytes)]",
    }


def test_a_replaced_stream_gets_its_consumers_again() -> None:
    def view(storage: str) -> ProjectView:
        return project(stream(storage=storage, consumers=[{"name": "audit"}]))

    assert str(plan(view("file"), view("memory"), HELD)).splitlines()[1:] == [
        "create nats/consumer/departures/audit: goes away with nats/stream/departures, which is replaced"
    ]


async def _put(live: NatsLive, name: str, **config: Any) -> None:
    await live.execute(Step(f"$JS.API.STREAM.CREATE.{name}", json.dumps({"name": name, **config})))


def _names(resources: Sequence[Resource]) -> set[str]:
    return {str(resource.id) for resource in resources}


@pytest.mark.live
async def test_only_what_the_project_owns_is_touched(live: NatsLive) -> None:
    await _put(live, "KV_settings", subjects=["$KV.settings.>"])
    await _put(live, "orders", subjects=["orders"], metadata={"thedata.project": "shop"})
    await apply(live, project(stream()))
    await apply(live, project())
    assert _names(await live.observe()) == {"nats/stream/KV_settings", "nats/stream/orders"}


@pytest.mark.live
async def test_a_foreign_stream_is_taken_over_only_when_asked(live: NatsLive) -> None:
    await _put(live, "departures", subjects=["departures.>"], max_msgs=1000, sources=[{"name": "upstream"}])
    await live.publish([OutgoingMessage("departures.x", b"1")])
    view = project(stream())

    with pytest.raises(RefusedError, match="nats/stream/departures exists and was not created by thedata") as caught:
        await apply(live, view)
    assert "--adopt nats/stream/departures" in caught.value.hint

    adopted = await apply(live, view, adopt=[stream_id("departures")])
    assert str(adopted) == "update nats/stream/departures: taken over"
    assert str(await plan_of(live, view)) == "no changes"
    state = (await live.streams())[0]
    assert (state.messages, state.config["max_msgs"]) == (1, -1)
    assert state.config["sources"] == [{"name": "upstream"}], "what cannot be declared is kept"


@pytest.mark.live
async def test_more_streams_and_consumers_than_the_server_lists_at_once(live: NatsLive) -> None:
    readers = [{"name": f"reader{index}"} for index in range(260)]
    streams = [stream(f"s{index}", storage="memory") for index in range(260)]
    view = project(*streams, stream(storage="memory", consumers=readers))
    await apply(live, view)
    assert len(await live.observe()) == 521
    assert str(await plan_of(live, view)) == "no changes"


@pytest.mark.live
@pytest.mark.parametrize("round_", range(8))
async def test_a_replaced_stream_begins_empty(live: NatsLive, round_: int) -> None:
    await apply(live, project(stream(deny_purge=True)))
    await live.publish([OutgoingMessage("departures.x", b"old")] * 3)
    await apply(live, project(stream()))
    await live.publish([OutgoingMessage("departures.x", b"new")])
    assert [message.payload for message in await read(live, "departures", 1)] == [b"new"]
