"""What may stand in `streams/*.yaml`, what may not, and what the project as a whole must respect."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from tests.components.nats.cases import COMPONENT, project, route, stream

from thedata_cli.component_api.component import ProjectView
from thedata_cli.components.nats.component import NatsComponent
from thedata_cli.components.nats.streams import Stream


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"subjects": []}, "at least 1 item"),
        ({"subjects": ["a..b"]}, "empty token"),
        ({"subjects": [">"]}, "belongs to the server"),
        ({"subjects": ["*.x"]}, "belongs to the server"),
        ({"subjects": ["$JS.API.x"]}, "belongs to the server"),
        ({"subjects": ["a.>", "a.*"]}, "overlap"),
        ({"retention": "forever"}, "'limits', 'interest' or 'workqueue'"),
        ({"max_age": "1 fortnight"}, "is not a duration"),
        ({"max_age": "1ms"}, "greater than or equal to 0.1"),
        ({"max_age": "1m", "duplicate_window": "2m"}, "must not be longer than max_age"),
        ({"discard_new_per_subject": True}, "discard: new"),
        ({"allow_rollup": True, "deny_purge": True}, "do not go with deny_purge"),
        ({"republish": {"destination": "departures.copy"}}, "comes back into the stream"),
        ({"republish": {"destination": "{{wildcard(1)}}.copy"}}, "comes back into the stream"),
        ({"metadata": {"thedata.project": "x"}}, "reserved"),
        ({"sealed": True}, "Extra inputs"),
        ({"consumers": [{"name": "a.b"}]}, "should match pattern"),
        ({"consumers": [{"name": "a", "ack_policy": "none", "max_deliver": 2}]}, "no meaning with ack_policy none"),
        ({"consumers": [{"name": "a", "backoff": ["1s"], "ack_wait": "2s"}]}, "backoff replaces ack_wait"),
        ({"consumers": [{"name": "a", "backoff": ["1s", "2s"], "max_deliver": 1}]}, "more than max_deliver"),
        ({"consumers": [{"name": "a", "deliver": "last_per_subject"}]}, "needs filter_subjects"),
        ({"consumers": [{"name": "a", "filter_subjects": ["a.b", "a.*"]}]}, "overlap"),
        ({"consumers": [{"name": "a", "deliver": {"start_time": "2026-01-01T00:00:00"}}]}, "timezone"),
    ],
)
def test_a_declaration_that_the_server_would_refuse(attributes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        stream(**attributes)


def problems(view: ProjectView, component: NatsComponent = COMPONENT) -> list[str]:
    return [str(problem) for problem in component.problems(view)]


def test_a_sound_project_has_no_problems() -> None:
    whole = stream(consumers=[{"name": "audit", "filter_subjects": ["departures.late"]}])
    assert problems(project(whole, stream("arrivals"), routes=[route(), route(subject="departures.late")])) == []


def test_the_same_name_twice() -> None:
    again = Stream(name="departures", subjects=("other",))
    assert problems(project(stream(), again)) == [
        "streams/departures.yaml:2:1: name: the stream 'departures' is already declared at "
        "streams/departures.yaml:1:1; give it another name"
    ]


def test_subjects_that_two_streams_want() -> None:
    assert problems(project(stream(), stream("late", subjects=["x", "departures.late.*"]))) == [
        "streams/late.yaml:3:1: subjects.1: 'departures.late.*' overlaps with the subjects of the stream 'departures'; "
        "a subject belongs to one stream"
    ]


def test_subjects_of_the_dead_letters_that_the_component_adds() -> None:
    greedy = stream(subjects=["departures.>", "dead-letters.*"])
    assert "overlaps with the subjects of the stream 'dead-letters'" in problems(project(greedy, routes=[route()]))[0]


def test_a_dead_letter_stream_of_ones_own_must_take_them() -> None:
    own = stream("dead-letters", subjects=["letters.>"])
    assert problems(project(stream(), own, routes=[route()])) == [
        "pipelines/departures.yaml:1:1: dead_letters: the stream 'dead-letters' does not take the subject "
        "'dead-letters.departures-questdb-departures'; add the subject `dead-letters.>` to it"
    ]
    fitting = stream("dead-letters", max_age="30d")
    assert problems(project(stream(), fitting, routes=[route()])) == []


def test_filters_that_match_nothing() -> None:
    view = project(
        stream(consumers=[{"name": "audit", "filter_subjects": ["arrivals.>"]}]), routes=[route(subject="x")]
    )
    assert problems(view) == [
        "streams/departures.yaml:5:1: consumers.0.filter_subjects.0: 'arrivals.>' matches nothing in the stream; "
        "its subjects are departures.>",
        "pipelines/departures.yaml:1:1: subject: 'x' matches nothing in the stream 'departures'; "
        "its subjects are departures.>",
    ]


def test_consumers_that_take_each_others_name() -> None:
    twice = stream(consumers=[{"name": "audit"}, {"name": "audit"}, {"name": route().consumer}])
    found = problems(project(twice, routes=[route()]))
    assert "the consumer 'audit' is declared twice" in found[0]
    assert "is declared in streams/departures.yaml too; rename that one" in found[1]


def test_a_work_queue_gives_each_message_to_one_consumer() -> None:
    queue = stream(retention="workqueue")
    assert problems(project(queue, routes=[route()])) == []
    shared = problems(project(queue, routes=[route(), route(pipeline="second")]))
    assert shared[0].startswith("streams/departures.yaml:2:1: retention: the consumers")
    assert "share messages" in shared[0]
    late = stream(retention="workqueue", consumers=[{"name": "audit", "deliver": "new"}])
    assert "ack_policy explicit and deliver all" in problems(project(late))[0]


def test_streams_that_want_more_space_than_there_is() -> None:
    small = NatsComponent(max_file_store=1000)
    wanted = project(stream(max_bytes=700), stream("arrivals", max_bytes=700))
    assert problems(wanted, small) == [
        "streams/arrivals.yaml:2:1: max_bytes: 700 bytes are more than the 300 that remain of the component's "
        "max_file_store; raise max_file_store under `components: nats:`"
    ]


def test_more_consumers_than_the_stream_allows() -> None:
    crowded = stream(max_consumers=1, consumers=[{"name": "audit"}])
    assert problems(project(crowded)) == []
    assert problems(project(crowded, routes=[route()])) == [
        "streams/departures.yaml:2:1: max_consumers: 1 is less than its consumers: 1 of its own and 1 of pipelines"
    ]


def test_the_events_of_the_server_may_be_stored() -> None:
    assert stream(subjects=["$JS.EVENT.ADVISORY.>"]).subjects == ("$JS.EVENT.ADVISORY.>",)
