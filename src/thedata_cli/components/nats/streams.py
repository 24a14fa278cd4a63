"""Streams and their consumers, as `streams/*.yaml` declares them. What the server makes of them is in `specs.py`."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from thedata_cli.component_api.declarations import Declaration, Model, Name
from thedata_cli.component_api.subjects import Subject, covers, overlap, overlap_any
from thedata_cli.component_api.units import ByteCount, Duration

DEFAULT_DUPLICATE_WINDOW_S = 120.0

_SERVER_SUBJECTS = ("$JS.>", "$SYS.>")
_SERVER_EVENTS = ("$JS.EVENT.>", "$SYS.ACCOUNT.>")


def _check_free_subject(subject: str) -> str:
    taken = next((name for name in _SERVER_SUBJECTS if overlap(subject, name)), "")
    if taken and not any(covers(events, subject) for events in _SERVER_EVENTS):
        raise ValueError(f"{subject!r} includes {taken}, which belongs to the server")
    return subject


StreamSubject = Annotated[Subject, AfterValidator(_check_free_subject)]
"""A subject that a stream may store."""


def _check_metadata(metadata: Mapping[str, str]) -> Mapping[str, str]:
    for key in metadata:
        if key.startswith(("_nats.", "thedata.")) or not key:
            raise ValueError(f"the key {key!r} is reserved; `_nats.` and `thedata.` are not for users")
    return metadata


Metadata = Annotated[Mapping[str, str], AfterValidator(_check_metadata)]
Description = Annotated[str, Field(max_length=4096)]
Count = Annotated[int, Field(gt=0, le=2**53)]
Size = Annotated[ByteCount, Field(gt=0, le=2**53)]
MessageSize = Annotated[ByteCount, Field(gt=0, le=2**31 - 1)]
SmallCount = Annotated[int, Field(gt=0, le=2**31 - 1)]
Period = Annotated[Duration, Field(ge=0.1, le=3_000_000_000)]
ShortPeriod = Annotated[Duration, Field(ge=0.001, le=3_000_000_000)]


class StartSequence(Model):
    """Deliver from one message on."""

    start_sequence: Count
    """Stream sequence of the first message."""


class StartTime(Model):
    """Deliver from one moment on."""

    start_time: AwareDatetime
    """Time of the first message, such as `2026-01-31T12:00:00Z`."""

    @property
    def utc(self) -> datetime.datetime:
        """The moment in UTC."""
        return self.start_time.astimezone(datetime.UTC)


Deliver: TypeAlias = Literal["all", "last", "new", "last_per_subject"] | StartSequence | StartTime


class Consumer(Model):
    """A durable pull consumer: the progress of one reader of a stream."""

    name: Name
    """Name of the consumer in its stream."""

    description: Description = ""
    """What it is for, in a few words."""

    filter_subjects: tuple[Subject, ...] = ()
    """Deliver only these; empty means every message of the stream."""

    deliver: Deliver = "all"
    """Where it begins: `all`, `last`, `new`, `last_per_subject`, `{start_sequence: 7}` or `{start_time: …}`."""

    ack_policy: Literal["explicit", "all", "none"] = "explicit"
    """`explicit`: each message is acknowledged; `all`: an acknowledgement covers all before it; `none`."""

    ack_wait: ShortPeriod | None = None
    """How long an acknowledgement may take before the message is delivered again; 30s unless `backoff` says it."""

    max_deliver: SmallCount | None = None
    """How often a message is delivered at most; unlimited when absent."""

    backoff: Annotated[tuple[ShortPeriod, ...], Field(max_length=100)] = ()
    """Waits before the first, second, … redelivery; the last one repeats."""

    max_ack_pending: SmallCount | None = None
    """How many messages may wait for their acknowledgement at once; 1000 when absent."""

    max_waiting: Annotated[int, Field(gt=0, le=65536)] = 512
    """How many pull requests may wait at once."""

    replay: Literal["instant", "original"] = "instant"
    """`original` delivers at the pace at which the messages came."""

    headers_only: bool = False
    """Deliver headers and sizes without payloads."""

    inactive_threshold: Period | None = None
    """The server deletes the consumer when nobody has used it for that long; never when absent."""

    max_batch: SmallCount | None = None
    """Most messages in one pull request."""

    max_expires: Annotated[Duration, Field(ge=0.001, le=3_000_000_000)] | None = None
    """Longest wait of one pull request."""

    max_request_bytes: MessageSize | None = None
    """Most bytes in one pull request."""

    sample_percent: Annotated[int, Field(ge=0, le=100)] = 0
    """Share of acknowledgements that the server reports as events, for latency measurements."""

    replicas: Annotated[int, Field(ge=1, le=5)] | None = None
    """Servers that keep the progress; as many as the stream when absent."""

    memory_storage: bool = False
    """Keep the progress in memory even though the stream is on disk."""

    metadata: Metadata = Field(default_factory=dict)
    """Labels of your own."""

    @model_validator(mode="after")
    def _check_acknowledgement(self) -> Consumer:
        if self.ack_policy == "none":
            for key in ("ack_wait", "max_deliver", "backoff", "max_ack_pending"):
                if getattr(self, key):
                    raise ValueError(f"{key} has no meaning with ack_policy none")
        if self.backoff and self.ack_wait is not None:
            raise ValueError("backoff replaces ack_wait; write one of them")
        if self.max_deliver is not None and len(self.backoff) > self.max_deliver:
            raise ValueError(f"backoff has {len(self.backoff)} waits, more than max_deliver {self.max_deliver}")
        return self

    @model_validator(mode="after")
    def _check_filters(self) -> Consumer:
        for index, subject in enumerate(self.filter_subjects):
            other = next((other for other in self.filter_subjects[:index] if overlap(subject, other)), "")
            if other:
                raise ValueError(f"filter_subjects {other!r} and {subject!r} overlap")
        if self.deliver == "last_per_subject" and not self.filter_subjects:
            raise ValueError("deliver last_per_subject needs filter_subjects, for example the subjects of the stream")
        return self


class SubjectTransform(Model):
    """Stores messages under another subject."""

    source: Subject
    """Subjects to change."""

    destination: Annotated[str, Field(min_length=1)]
    """Their new name; `{{wildcard(1)}}` stands for the first `*` of the source."""


class Republish(Model):
    """Publishes every stored message again, for subscribers without a consumer."""

    source: Subject = ">"
    """Which messages."""

    destination: Annotated[str, Field(min_length=1)]
    """Under which subject; must not come back into the stream."""

    headers_only: bool = False
    """Publish headers and sizes without payloads."""


class Stream(Declaration):
    """One JetStream stream: messages of some subjects, kept in order."""

    description: Description = ""
    """What it holds, in a few words."""

    subjects: Annotated[tuple[StreamSubject, ...], Field(min_length=1)]
    """What it stores: subjects with `*` for one token and `>` for all that follow."""

    retention: Literal["limits", "interest", "workqueue"] = "limits"
    """`limits`: until a limit; `interest`: until every consumer has acknowledged; `workqueue`: until one has."""

    storage: Literal["file", "memory"] = "file"
    """`memory` is lost when the server stops."""

    discard: Literal["old", "new"] = "old"
    """What gives way at a limit: the oldest messages, or the new one, which is then refused."""

    discard_new_per_subject: bool = False
    """Refuse new messages of a subject that has reached `max_messages_per_subject`; needs `discard: new`."""

    max_age: Period | None = None
    """Messages older than this are removed."""

    max_bytes: Size | None = None
    """Bytes that it may take; the server sets them aside."""

    max_messages: Count | None = None
    """Messages that it may hold."""

    max_messages_per_subject: Count | None = None
    """Messages that it may hold of each subject; 1 keeps the last."""

    max_message_size: MessageSize | None = None
    """Larger messages are refused."""

    max_consumers: SmallCount | None = None
    """Consumers that may be made."""

    replicas: Annotated[int, Field(ge=1, le=5)] = 1
    """Servers that hold a copy; more than 1 needs a cluster."""

    duplicate_window: Period | None = None
    """How long message ids are remembered to drop second copies; 2m, or `max_age` when that is shorter."""

    compression: Literal["none", "s2"] = "none"
    """`s2` saves disk for a little CPU."""

    allow_direct: bool = True
    """Let clients read single messages from any copy, which is faster."""

    deny_delete: bool = False
    """Nobody can delete single messages."""

    deny_purge: bool = False
    """Nobody can purge the stream."""

    allow_rollup: bool = False
    """Let a message with the header `Nats-Rollup` replace all before it."""

    allow_message_ttl: bool = False
    """Let a message say with the header `Nats-TTL` when it goes."""

    delete_marker_ttl: Annotated[Duration, Field(ge=1, le=3_000_000_000)] | None = None
    """Leave a marker for that long when a subject's last message goes; brings message TTL and rollup with it."""

    allow_atomic_publish: bool = False
    """Let clients store up to 1,000 messages all or none."""

    subject_transform: SubjectTransform | None = None
    """Store messages under another subject: `{source: orders.*, destination: stored.{{wildcard(1)}}}`."""

    republish: Republish | None = None
    """Publish what is stored once more, for plain subscribers: `{source: orders.>, destination: live.>}`."""

    metadata: Metadata = Field(default_factory=dict)
    """Labels of your own."""

    consumers: tuple[Consumer, ...] = ()
    """Durable consumers of your own; each pipeline gets one by itself."""

    @model_validator(mode="after")
    def _check_limits(self) -> Stream:
        if self.discard_new_per_subject and (self.discard != "new" or self.max_messages_per_subject is None):
            raise ValueError("discard_new_per_subject needs `discard: new` and max_messages_per_subject")
        if self.max_age and self.duplicate_window and self.duplicate_window > self.max_age:
            raise ValueError("duplicate_window must not be longer than max_age")
        if self.deny_purge and (self.allow_rollup or self.delete_marker_ttl):
            raise ValueError("a rollup purges: allow_rollup and delete_marker_ttl do not go with deny_purge")
        return self

    @model_validator(mode="after")
    def _check_subjects(self) -> Stream:
        for index, subject in enumerate(self.subjects):
            other = next((other for other in self.subjects[:index] if overlap(subject, other)), "")
            if other:
                raise ValueError(f"subjects {other!r} and {subject!r} overlap")
        if self.republish and overlap_any(_as_pattern(self.republish.destination), self.subjects):
            raise ValueError(f"republish to {self.republish.destination!r} comes back into the stream")
        return self


def _as_pattern(destination: str) -> str:
    """Return what a mapping can produce as a pattern: its placeholders become `*`."""
    return ".".join("*" if token.startswith(("{{", "$")) else token for token in destination.split("."))
