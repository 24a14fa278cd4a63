"""Specs of streams and consumers, and the JSON of the server's API for them. Pure.

A spec has the words and units of `streams/*.yaml`: seconds, bytes, and null for no limit. The API has nanoseconds, and
0 or -1 for no limit.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from thedata_cli.components.nats.streams import DEFAULT_DUPLICATE_WINDOW_S, Consumer, StartSequence, StartTime, Stream
from thedata_cli.plan.resources import JsonValue, Spec

OWNER_KEY = "thedata.project"
"""Metadata key that marks what a project created."""

API_CONFIG = "api_config"
"""Key of an observed spec with the whole config of the server, so that an update keeps what cannot be declared."""

DEFAULT_ACK_WAIT_S = 30.0
DEFAULT_MAX_ACK_PENDING = 1000

ApiConfig = Mapping[str, Any]


class _Attribute(NamedTuple):
    """How one attribute is written in a spec and in the API."""

    name: str
    api_name: str
    to_api: Callable[[Any], Any]
    from_api: Callable[[Any], JsonValue]


def _same(name: str, default: JsonValue, api_name: str = "") -> _Attribute:
    return _Attribute(name, api_name or name, lambda value: value, lambda value: default if value is None else value)


def _limit(name: str, api_name: str = "", *, unlimited: int = -1) -> _Attribute:
    return _Attribute(
        name,
        api_name or name,
        lambda value: unlimited if value is None else value,
        lambda value: value if value and value > 0 else None,
    )


def _period(name: str, api_name: str = "") -> _Attribute:
    return _Attribute(name, api_name or name, _nanoseconds, lambda value: _seconds(value) if value else None)


def _nanoseconds(seconds: float | None) -> int:
    return round((seconds or 0) * 1_000_000) * 1000


def _seconds(nanoseconds: int) -> float:
    return round(nanoseconds / 1000) / 1_000_000


def _microseconds_exact(seconds: float | None) -> float | None:
    """Round to the unit of the specs, so that what is declared and what comes back are the same number."""
    return None if seconds is None else round(seconds * 1_000_000) / 1_000_000


_STREAM = (
    _same("description", ""),
    _Attribute("subjects", "subjects", list, lambda value: sorted(value or ())),
    _same("retention", "limits"),
    _same("storage", "file"),
    _same("discard", "old"),
    _same("discard_new_per_subject", False),
    _period("max_age"),
    _limit("max_bytes"),
    _limit("max_messages", "max_msgs"),
    _limit("max_messages_per_subject", "max_msgs_per_subject"),
    _limit("max_message_size", "max_msg_size"),
    _limit("max_consumers"),
    _same("replicas", 1, "num_replicas"),
    _period("duplicate_window"),
    _same("compression", "none"),
    _same("allow_direct", False),
    _same("deny_delete", False),
    _same("deny_purge", False),
    _same("allow_rollup", False, "allow_rollup_hdrs"),
    _same("allow_message_ttl", False, "allow_msg_ttl"),
    _period("delete_marker_ttl", "subject_delete_marker_ttl"),
    _same("allow_atomic_publish", False, "allow_atomic"),
    _Attribute(
        "subject_transform",
        "subject_transform",
        lambda value: {"src": value["source"], "dest": value["destination"]} if value else None,
        lambda value: {"source": value.get("src", ""), "destination": value.get("dest", "")} if value else None,
    ),
    _Attribute(
        "republish",
        "republish",
        lambda value: (
            {"src": value["source"], "dest": value["destination"], "headers_only": value["headers_only"]}
            if value
            else None
        ),
        lambda value: (
            {
                "source": value.get("src") or ">",
                "destination": value.get("dest", ""),
                "headers_only": bool(value.get("headers_only")),
            }
            if value
            else None
        ),
    ),
)

_CONSUMER = (
    _same("description", ""),
    _same("ack_policy", "none"),
    _period("ack_wait"),
    _limit("max_deliver"),
    _Attribute(
        "backoff",
        "backoff",
        lambda value: [_nanoseconds(seconds) for seconds in value] or None,
        lambda value: [_seconds(nanoseconds) for nanoseconds in value or ()],
    ),
    _limit("max_ack_pending", unlimited=0),
    _same("max_waiting", 512),
    _same("replay", "instant", "replay_policy"),
    _same("headers_only", False),
    _period("inactive_threshold"),
    _limit("max_batch", unlimited=0),
    _period("max_expires"),
    _limit("max_request_bytes", "max_bytes", unlimited=0),
    _Attribute(
        "sample_percent",
        "sample_freq",
        lambda value: f"{value}%" if value else "",
        lambda value: int(str(value).rstrip("%")) if value else 0,
    ),
    _limit("replicas", "num_replicas", unlimited=0),
    _same("memory_storage", False, "mem_storage"),
)


def stream_spec(stream: Stream) -> Spec:
    """Return the spec of a declared stream, the server's defaults filled in."""
    window = stream.duplicate_window or min(DEFAULT_DUPLICATE_WINDOW_S, stream.max_age or DEFAULT_DUPLICATE_WINDOW_S)
    return {
        **stream.model_dump(mode="json", exclude={"name", "consumers"}),
        "subjects": sorted(stream.subjects),
        "max_age": _microseconds_exact(stream.max_age),
        "duplicate_window": _microseconds_exact(window),
        "delete_marker_ttl": _microseconds_exact(stream.delete_marker_ttl),
        "allow_message_ttl": stream.allow_message_ttl or stream.delete_marker_ttl is not None,
        "allow_rollup": stream.allow_rollup or stream.delete_marker_ttl is not None,
    }


def consumer_spec(consumer: Consumer) -> Spec:
    """Return the spec of a declared consumer, the server's defaults filled in."""
    acknowledges = consumer.ack_policy != "none"
    ack_wait = consumer.backoff[0] if consumer.backoff else consumer.ack_wait or DEFAULT_ACK_WAIT_S
    return {
        **consumer.model_dump(mode="json", exclude={"name"}),
        "filter_subjects": sorted(consumer.filter_subjects),
        "deliver": _deliver_spec(consumer),
        "ack_wait": _microseconds_exact(ack_wait) if acknowledges else None,
        "backoff": [_microseconds_exact(wait) for wait in consumer.backoff],
        "max_ack_pending": (consumer.max_ack_pending or DEFAULT_MAX_ACK_PENDING) if acknowledges else None,
        "inactive_threshold": _microseconds_exact(consumer.inactive_threshold),
        "max_expires": _microseconds_exact(consumer.max_expires),
    }


def _deliver_spec(consumer: Consumer) -> JsonValue:
    match consumer.deliver:
        case StartSequence(start_sequence=sequence):
            return {"start_sequence": sequence}
        case StartTime() as start:
            return {"start_time": start.utc.isoformat()}
        case word:
            return word


def stream_spec_of_config(config: ApiConfig) -> Spec:
    """Read a stream's `config` of the API back as the spec that would have made it."""
    return {**_read(_STREAM, config), "metadata": _own_metadata(config)}


def consumer_spec_of_config(config: ApiConfig) -> Spec:
    """Read a consumer's `config` of the API back as the spec that would have made it."""
    one = config.get("filter_subject")
    return {
        **_read(_CONSUMER, config),
        "filter_subjects": sorted(config.get("filter_subjects") or ([one] if one else [])),
        "deliver": _deliver_of_config(config),
        "metadata": _own_metadata(config),
    }


def _deliver_of_config(config: ApiConfig) -> JsonValue:
    match config.get("deliver_policy", "all"):
        case "by_start_sequence":
            return {"start_sequence": config.get("opt_start_seq", 0)}
        case "by_start_time":
            return {"start_time": read_time(config["opt_start_time"]).isoformat()}
        case str(word):
            return word
        case other:
            return str(other)


def stream_config(name: str, spec: Spec, *, project: str, base: ApiConfig | None = None) -> dict[str, Any]:
    """Return the `config` of a create or update request.

    Args:
        name: Name of the stream.
        spec: What it shall be.
        project: Its owner.
        base: The live config; what the spec does not speak of is kept.
    """
    config = {**(base or {}), "name": name, **_write(_STREAM, spec), "metadata": _marked(spec, project)}
    return _without_nothing(config)


def consumer_config(name: str, spec: Spec, *, project: str, base: ApiConfig | None = None) -> dict[str, Any]:
    """Return the `config` of a create or update request; arguments as in `stream_config`."""
    config = {
        **{key: value for key, value in (base or {}).items() if key != "filter_subject"},
        "durable_name": name,
        "name": name,
        **_write(_CONSUMER, spec),
        **_deliver_config(spec["deliver"]),
        "filter_subjects": spec["filter_subjects"] or None,
        "metadata": _marked(spec, project),
    }
    return _without_nothing(config)


def _deliver_config(deliver: JsonValue) -> dict[str, Any]:
    if not isinstance(deliver, Mapping):
        return {"deliver_policy": deliver}
    if "start_sequence" in deliver:
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": deliver["start_sequence"]}
    return {
        "deliver_policy": "by_start_time",
        "opt_start_time": str(deliver["start_time"]).replace("+00:00", "Z"),
    }


def owner_of_config(config: ApiConfig) -> str:
    """Return the project that created it; empty for a foreign one."""
    return str((config.get("metadata") or {}).get(OWNER_KEY, ""))


def read_time(text: str) -> datetime.datetime:
    """Read the server's RFC 3339 time; it has up to nine digits of a second, of which six are kept."""
    return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC)


def _read(attributes: tuple[_Attribute, ...], config: ApiConfig) -> dict[str, JsonValue]:
    return {attribute.name: attribute.from_api(config.get(attribute.api_name)) for attribute in attributes}


def _write(attributes: tuple[_Attribute, ...], spec: Spec) -> dict[str, Any]:
    return {attribute.api_name: attribute.to_api(spec[attribute.name]) for attribute in attributes}


def _own_metadata(config: ApiConfig) -> dict[str, JsonValue]:
    metadata = config.get("metadata") or {}
    return {key: value for key, value in sorted(metadata.items()) if not key.startswith("_nats.") and key != OWNER_KEY}


def _marked(spec: Spec, project: str) -> dict[str, Any]:
    metadata = spec["metadata"]
    assert isinstance(metadata, Mapping)
    return {**metadata, OWNER_KEY: project}


def _without_nothing(config: Mapping[str, Any]) -> dict[str, Any]:
    """Drop absent values; the server takes a missing key for its default."""
    return {key: value for key, value in config.items() if value is not None}
