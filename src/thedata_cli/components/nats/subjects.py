"""Subjects: what is one, and which of them meet. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field

_SERVER_SUBJECTS = ("$JS.>", "$SYS.>")


def check_subject(subject: str) -> str:
    """Return the subject when it is one.

    Raises:
        ValueError: Says which token is wrong.
    """
    tokens = subject.split(".")
    for index, token in enumerate(tokens):
        if not token:
            raise ValueError(f"{subject!r} has an empty token; write tokens between single dots, as in `flights.*.>`")
        if any(character.isspace() for character in token):
            raise ValueError(f"{subject!r} has a space")
        if ">" in token and (token != ">" or index != len(tokens) - 1):
            raise ValueError(f"`>` in {subject!r} must be the whole last token")
        if "*" in token and token != "*":
            raise ValueError(f"`*` in {subject!r} must be a whole token")
    return subject


def _check_free_subject(subject: str) -> str:
    check_subject(subject)
    taken = next((name for name in _SERVER_SUBJECTS if overlap(subject, name)), "")
    if taken:
        raise ValueError(f"{subject!r} includes {taken}, which belongs to the server")
    return subject


Subject = Annotated[
    str, Field(min_length=1, max_length=255), AfterValidator(check_subject), Field(examples=["flights.departures.>"])
]
"""A subject or a pattern with `*` (one token) and `>` (all that follow)."""

StreamSubject = Annotated[Subject, AfterValidator(_check_free_subject)]
"""A subject that a stream may store."""


def overlap(first: str, second: str) -> bool:
    """Say whether one subject can match both patterns.

    Example:
        >>> overlap("a.*.c", "a.b.>"), overlap("a.b", "a.b.>")
        (True, False)
    """
    left, right = first.split("."), second.split(".")
    for one, other in zip(left, right, strict=False):
        if ">" in (one, other):
            return True
        if one != other and "*" not in (one, other):
            return False
    return len(left) == len(right)


def overlap_any(subject: str, patterns: Iterable[str]) -> bool:
    """Say whether the subject meets one of the patterns."""
    return any(overlap(subject, pattern) for pattern in patterns)


def covers(pattern: str, subject: str) -> bool:
    """Say whether the pattern matches everything that `subject`, itself maybe a pattern, matches.

    Example:
        >>> covers("a.>", "a.*.c"), covers("a.*", "a.>")
        (True, False)
    """
    wide, narrow = pattern.split("."), subject.split(".")
    for index, token in enumerate(wide):
        if token == ">":
            return len(narrow) > index
        if index >= len(narrow) or narrow[index] == ">" or (token not in ("*", narrow[index])):
            return False
    return len(wide) == len(narrow)
