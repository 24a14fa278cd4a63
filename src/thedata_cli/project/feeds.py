"""Checks what feeds refer to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from thedata_cli.component_api.subjects import check_subject, overlap
from thedata_cli.project.model import FeedSettings
from thedata_cli.project.references import References
from thedata_cli.project.suggestions import either, suggest


def feed_mistakes(feed: FeedSettings, references: References) -> Iterator[tuple[str, str, str]]:
    """Yield the mistakes of one feed, each as its key, what is wrong, and what would be right."""
    streams = references.streams
    if feed.stream not in streams:
        if not references.hides_stream(feed.stream):
            yield "stream", f"unknown stream {feed.stream!r}", suggest(feed.stream, streams)
        return
    subjects = tuple(getattr(streams[feed.stream][1].model, "subjects", ()))
    if not feed.subject:
        if len(subjects) != 1 or "*" in subjects[0] or ">" in subjects[0]:
            example = re.sub(r"[*>]", "{field}", subjects[0]) if subjects else "events.{field}"
            yield "subject", f"is missing: stream {feed.stream!r} has no single subject", f"write it as `{example}`"
        return
    pattern = subject_pattern(feed.subject)
    try:
        check_subject(pattern)
    except ValueError as error:
        message, _, expected = str(error).partition("; ")
        yield "subject", message, expected
        return
    if subjects and not any(overlap(pattern, subject) for subject in subjects):
        message = f"stream {feed.stream!r} has no subject that matches {feed.subject!r}"
        yield "subject", message, f"it has {either(list(subjects))}"


def subject_pattern(template: str) -> str:
    """Return the pattern of all subjects that a template can give.

    Example:
        >>> subject_pattern("flights.departures.{origin}")
        'flights.departures.*'
    """
    return ".".join("*" if "{" in token else token for token in template.split("."))
