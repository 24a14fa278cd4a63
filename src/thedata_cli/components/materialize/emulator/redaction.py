"""Errors of statements that hold the value of a secret tell neither the value nor a place in the text.

A client shows the line of the text that an error's place is in.
"""

from __future__ import annotations

import re

from thedata_cli.components.materialize.emulator.errors import EmulatorError

REDACTED = "<REDACTED>"
_SECRET = re.compile(r"\b(?:create|alter)\s+secret\b", re.IGNORECASE)
_LITERAL = re.compile(r"'((?:[^']|'')+)'?")


def redacted(error: EmulatorError, sql: str) -> EmulatorError:
    """Return an error of a text as a client may see it.

    Example:
        >>> redacted(EmulatorError("42601", "found 'hush'", position=16), "CREATE SECRET k 'hush'").message
        "found '<REDACTED>'"
    """
    if not _SECRET.search(sql):
        return error
    message, detail, hint = error.message, error.detail, error.hint
    for literal in _LITERAL.findall(sql):
        for value in (literal, literal.replace("''", "'")):
            message = message.replace(value, REDACTED)
            detail, hint = (text and text.replace(value, REDACTED) for text in (detail, hint))
    return EmulatorError(error.sqlstate, message, detail, hint)
