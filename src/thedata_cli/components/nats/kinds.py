"""How streams and consumers change: the exact API requests, and what is lost by them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from thedata_cli.components.nats.specs import API_CONFIG, consumer_config, stream_config
from thedata_cli.plan.changes import Action, Recipe, Step
from thedata_cli.plan.resources import Difference, Resource, ResourceId, Spec

COMPONENT = "nats"
STREAM = "stream"
CONSUMER = "consumer"


def stream_id(name: str) -> ResourceId:
    """Return the id of a stream."""
    return ResourceId(COMPONENT, STREAM, name)


def consumer_id(stream: str, name: str) -> ResourceId:
    """Return the id of a consumer, which lives inside its stream."""
    return ResourceId(COMPONENT, CONSUMER, f"{stream}/{name}")


class StreamKind:
    """JetStream streams."""

    component = COMPONENT
    name = STREAM

    def to_create(self, desired: Resource) -> Recipe:
        """Create it, marked as the project's."""
        return Recipe(Action.CREATE, (_create_stream(desired),))

    def to_update(self, observed: Resource, desired: Resource, differences: Sequence[Difference]) -> Recipe:
        """Update it in place, or replace it where the server cannot."""
        fixed = [difference.path for difference in differences if _is_fixed(difference)]
        if fixed:
            recipe = self.to_replace(observed, desired)
            return Recipe(recipe.action, recipe.steps, recipe.loses, f"{', '.join(fixed)} cannot be changed in place")
        name = desired.id.name
        config = stream_config(name, desired.spec, project=desired.managed_by, base=_api_config(observed))
        step = _step(f"$JS.API.STREAM.UPDATE.{name}", config)
        return Recipe(Action.UPDATE, (step,), _lost_by_limits(observed.spec, desired.spec, differences))

    def to_replace(self, observed: Resource, desired: Resource) -> Recipe:
        """Delete it with its messages, and create it anew."""
        deletion = self.to_delete(observed)
        return Recipe(Action.REPLACE, (*deletion.steps, _create_stream(desired)), deletion.loses)

    def to_delete(self, observed: Resource) -> Recipe:
        """Delete it with its messages."""
        return Recipe(Action.DELETE, (_step(f"$JS.API.STREAM.DELETE.{observed.id.name}"),), _content(observed.spec))


class ConsumerKind:
    """Durable pull consumers."""

    component = COMPONENT
    name = CONSUMER

    def to_create(self, desired: Resource) -> Recipe:
        """Create it, marked as the project's."""
        return Recipe(Action.CREATE, (_put_consumer(desired, "create", None),))

    def to_update(self, observed: Resource, desired: Resource, differences: Sequence[Difference]) -> Recipe:
        """Update it in place, or replace it where the server cannot."""
        fixed = [difference.path for difference in differences if difference.path.split(".")[0] in _FIXED_OF_CONSUMER]
        if fixed:
            recipe = self.to_replace(observed, desired)
            return Recipe(recipe.action, recipe.steps, recipe.loses, f"{', '.join(fixed)} cannot be changed in place")
        return Recipe(Action.UPDATE, (_put_consumer(desired, "update", _api_config(observed)),))

    def to_replace(self, observed: Resource, desired: Resource) -> Recipe:
        """Delete it with its progress, and create it anew."""
        deletion = self.to_delete(observed)
        return Recipe(Action.REPLACE, (*deletion.steps, _put_consumer(desired, "create", None)), deletion.loses)

    def to_delete(self, observed: Resource) -> Recipe:
        """Delete it with its progress."""
        stream, _, name = observed.id.name.partition("/")
        step = _step(f"$JS.API.CONSUMER.DELETE.{stream}.{name}")
        return Recipe(Action.DELETE, (step,), _progress(observed.spec))


_FIXED_OF_CONSUMER = {"deliver", "ack_policy", "replay", "memory_storage", "max_waiting"}


def _is_fixed(difference: Difference) -> bool:
    """Say whether the server refuses this change of a stream."""
    match difference.path:
        case "storage":
            return True
        case "retention":
            return "workqueue" in (difference.before, difference.after)
        case "deny_delete" | "deny_purge" | "allow_message_ttl":
            return difference.before is True
        case _:
            return False


def _lost_by_limits(before: Spec, after: Spec, differences: Sequence[Difference]) -> str:
    """Say which messages go at once when limits shrink."""
    changed = {difference.path for difference in differences}
    lost = []
    if "max_age" in changed and _shrinks(before, after, "max_age"):
        lost.append(f"messages older than {after['max_age']:g}s")
    if after["discard"] == "old":
        for key, unit, held in (("max_messages", "messages", "messages"), ("max_bytes", "bytes", "bytes")):
            over = _number(before.get(held)) > _number(after[key]) if held in before else True
            if key in changed and _shrinks(before, after, key) and over:
                lost.append(f"the oldest messages beyond {after[key]} {unit}{_of(before, held)}")
    key = "max_messages_per_subject"
    if key in changed and _shrinks(before, after, key) and before.get("messages") != 0:
        lost.append(f"all but the last {after[key]} messages of each subject")
    if "retention" in changed and after["retention"] == "interest" and before.get("messages") != 0:
        lost.append("messages that no consumer waits for")
    return ", ".join(lost)


def _shrinks(before: Spec, after: Spec, key: str) -> bool:
    old, new = before[key], after[key]
    return new is not None and (old is None or _number(new) < _number(old))


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _of(spec: Spec, held: str) -> str:
    return f" (it holds {spec[held]})" if held in spec else ""


def _content(spec: Spec) -> str:
    """Say what a stream holds; empty when it is known to hold nothing."""
    if "messages" not in spec:
        return "all its messages"
    if not spec["messages"]:
        return ""
    return f"its {spec['messages']} messages ({spec['bytes']} bytes)"


def _progress(spec: Spec) -> str:
    """Say what a consumer knows; empty when it has not begun."""
    if "delivered" not in spec:
        return "its progress"
    if not spec["delivered"]:
        return ""
    return f"its progress (acknowledged up to message {spec['acknowledged']})"


def _create_stream(desired: Resource) -> Step:
    name = desired.id.name
    return _step(f"$JS.API.STREAM.CREATE.{name}", stream_config(name, desired.spec, project=desired.managed_by))


def _put_consumer(desired: Resource, action: str, base: Mapping[str, Any] | None) -> Step:
    stream, _, name = desired.id.name.partition("/")
    config = consumer_config(name, desired.spec, project=desired.managed_by, base=base)
    body = {"stream_name": stream, "action": action, "config": config}
    return _step(f"$JS.API.CONSUMER.CREATE.{stream}.{name}", body)


def _api_config(observed: Resource) -> Mapping[str, Any]:
    config = observed.spec.get(API_CONFIG)
    return config if isinstance(config, Mapping) else {}


def _step(subject: str, body: Mapping[str, Any] | None = None) -> Step:
    return Step(subject, "" if body is None else json.dumps(body, sort_keys=True, ensure_ascii=False))
