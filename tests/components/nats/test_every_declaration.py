"""Whatever can be declared: right after `apply`, `plan` is empty, and so it is after any change of the declaration."""

from __future__ import annotations

import asyncio
import datetime
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from tests.components.nats.cases import COMPONENT, apply, delete_streams, plan_of, project
from tests.components.nats_process import NatsServer

from thedata_cli.components.nats.live import NatsLive
from thedata_cli.components.nats.streams import Consumer, Stream

pytestmark = pytest.mark.live

EXAMPLES = int(os.environ.get("NATS_EXAMPLES", "150"))

BOTH = st.booleans()
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)
METADATA = st.dictionaries(st.sampled_from(["team", "Ünit", "a.b"]), TEXT, max_size=2)
COUNT = st.integers(1, 10_000)
PERIOD = st.one_of(st.sampled_from(["100ms", "1.5s", "2m", "30d", "52w"]), st.floats(0.1, 1e8, allow_nan=False))
SUBJECTS = st.lists(st.sampled_from(["s.>", "t", "u.*.v", "u.a.w", "ü.x"]), min_size=1, max_size=4, unique=True)
FILTERS = st.lists(st.sampled_from(["s.a", "s.b.>", "t", "s.*.c"]), max_size=3, unique=True)


Attributes = dict[str, Any]


def some(possible: Attributes, at_most: int) -> st.SearchStrategy[Attributes]:
    """Some of the attributes, as a user would write them; the others are left to their defaults."""
    names = st.lists(st.sampled_from(sorted(possible)), max_size=at_most, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: possible[name] for name in chosen}))


CONSUMER_ATTRIBUTES: dict[str, Any] = {
    "description": TEXT,
    "filter_subjects": FILTERS,
    "deliver": st.one_of(
        st.sampled_from(["all", "last", "new", "last_per_subject"]),
        st.builds(lambda sequence: {"start_sequence": sequence}, st.integers(1, 2**53)),
        st.datetimes(datetime.datetime(1980, 1, 1), datetime.datetime(2100, 1, 1), timezones=st.just(datetime.UTC)).map(
            lambda time: {"start_time": time.isoformat()}
        ),
    ),
    "ack_policy": st.sampled_from(["explicit", "all", "none"]),
    "ack_wait": PERIOD,
    "max_deliver": st.integers(1, 10),
    "backoff": st.lists(PERIOD, max_size=3),
    "max_ack_pending": COUNT,
    "max_waiting": st.integers(1, 1000),
    "replay": st.sampled_from(["instant", "original"]),
    "headers_only": BOTH,
    "inactive_threshold": st.sampled_from(["1h", "30d"]),
    "max_batch": COUNT,
    "max_expires": PERIOD,
    "max_request_bytes": COUNT,
    "sample_percent": st.integers(0, 100),
    "replicas": st.just(1),
    "memory_storage": BOTH,
    "metadata": METADATA,
}

STREAM_ATTRIBUTES: dict[str, Any] = {
    "description": TEXT,
    "subjects": SUBJECTS,
    "retention": st.sampled_from(["limits", "interest", "workqueue"]),
    "storage": st.sampled_from(["file", "memory"]),
    "discard": st.sampled_from(["old", "new"]),
    "discard_new_per_subject": BOTH,
    "max_age": PERIOD,
    "max_bytes": st.sampled_from([1, 1000, "10MB", "100MiB"]),
    "max_messages": COUNT,
    "max_messages_per_subject": COUNT,
    "max_message_size": st.sampled_from([1, "1MB", "2GB"]),
    "max_consumers": st.integers(3, 10),
    "replicas": st.just(1),
    "duplicate_window": PERIOD,
    "compression": st.sampled_from(["none", "s2"]),
    "allow_direct": BOTH,
    "deny_delete": BOTH,
    "deny_purge": BOTH,
    "allow_rollup": BOTH,
    "allow_message_ttl": BOTH,
    "delete_marker_ttl": st.sampled_from(["1s", "1h", 2.5]),
    "allow_atomic_publish": BOTH,
    "subject_transform": st.sampled_from([None, {"source": "s.*", "destination": "moved.{{wildcard(1)}}"}]),
    "republish": st.sampled_from(
        [None, {"source": "s.>", "destination": "copy.>", "headers_only": True}, {"destination": "copies.>"}]
    ),
    "metadata": METADATA,
}


def is_valid(model: type[BaseModel], attributes: Attributes) -> bool:
    try:
        model.model_validate({"name": "any", **attributes})
    except ValidationError:
        return False
    return True


def valid_consumer(attributes: Attributes) -> bool:
    return is_valid(Consumer, attributes)


def valid_stream(attributes: Attributes) -> bool:
    return is_valid(Stream, {"subjects": ["s.>"], **attributes})


@st.composite
def declarations(draw: st.DrawFn) -> tuple[Stream, Stream]:
    """A declaration, and what somebody made of it later."""
    before = draw(some(STREAM_ATTRIBUTES, 6).filter(valid_stream))
    change = some(STREAM_ATTRIBUTES, 3).map(lambda changed: {**before, **changed})
    after = draw(change.filter(valid_stream))
    reader = draw(some(CONSUMER_ATTRIBUTES, 6).filter(valid_consumer))
    changed_reader = some(CONSUMER_ATTRIBUTES, 3).map(lambda changed: {**reader, **changed})
    later = draw(changed_reader.filter(valid_consumer))
    readers = [{"name": "kept", **reader}, {"name": "left"}], [{"name": "kept", **later}, {"name": "came", **reader}]
    return declared(before, readers[0]), declared(after, readers[1])


def declared(attributes: Attributes, consumers: list[Attributes]) -> Stream:
    if attributes.get("retention") == "workqueue":
        # `problems` refuses most of what a consumer of a work queue could declare; this is what it allows.
        consumers = [{"name": "kept", "filter_subjects": ["s.a"]}, {"name": "came", "filter_subjects": ["s.b"]}]
    return Stream.model_validate({"name": "any", "subjects": ["s.>"], **attributes, "consumers": consumers})


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


def test_after_apply_the_plan_is_empty(server: NatsServer, runner: asyncio.Runner) -> None:
    connecting = COMPONENT.connect(server.endpoint, "flights")
    live = cast(NatsLive, runner.run(_enter(connecting)))
    carried_out: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(declarations())
    def holds(pair: tuple[Stream, Stream]) -> None:
        runner.run(_apply_both(live, pair, carried_out))

    holds()
    runner.run(connecting.__aexit__(None, None, None))
    assert {"stream update", "stream replace", "consumer update", "consumer replace"} <= carried_out.keys()


async def _enter(connecting: Any) -> Any:
    return await connecting.__aenter__()


async def _apply_both(live: NatsLive, pair: tuple[Stream, Stream], carried_out: Counter[str]) -> None:
    await delete_streams(live)
    for declaration in pair:
        view = project(declaration)
        assume(not list(COMPONENT.problems(view)))
        plan = await plan_of(live, view)
        note(str(plan))
        await apply(live, view)
        carried_out.update(f"{change.id.kind} {change.action}" for change in plan.changes)
        assert str(await plan_of(live, view)) == "no changes"
