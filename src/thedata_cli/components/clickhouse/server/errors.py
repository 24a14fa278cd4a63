"""ClickHouse's errors as its HTTP interface shows them: code, name, status, and the text of the body."""

from __future__ import annotations

import re

_ENGINE_TEXT = re.compile(r"Code: (\d+)\. DB::Exception: (.*)", re.DOTALL)
_VERSION_SUFFIX = re.compile(r"\s*\(version [^()]*(?:\([^()]*\))?\)[\s.]*$")
_NAME_SUFFIX = re.compile(r"\s*\(([A-Z][A-Z0-9_]+)\)\s*$")

BAD_ARGUMENTS = (36, "BAD_ARGUMENTS")
LOGICAL_ERROR = (49, "LOGICAL_ERROR")
NOT_IMPLEMENTED = (48, "NOT_IMPLEMENTED")
SYNTAX_ERROR = (62, "SYNTAX_ERROR")
INCORRECT_DATA = (117, "INCORRECT_DATA")
READONLY = (164, "READONLY")
QUERY_IS_TOO_LARGE = (307, "QUERY_IS_TOO_LARGE")
CANNOT_DECOMPRESS = (271, "CANNOT_DECOMPRESS")
CHECKSUM_DOESNT_MATCH = (40, "CHECKSUM_DOESNT_MATCH")
UNKNOWN_FORMAT = (73, "UNKNOWN_FORMAT")
UNKNOWN_COMPRESSION_METHOD = (89, "UNKNOWN_COMPRESSION_METHOD")
INVALID_SESSION_TIMEOUT = (374, "INVALID_SESSION_TIMEOUT")
SESSION_NOT_FOUND = (372, "SESSION_NOT_FOUND")
SESSION_IS_LOCKED = (373, "SESSION_IS_LOCKED")
QUERY_ALREADY_RUNNING = (216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING")
UNKNOWN_ROLE = (511, "UNKNOWN_ROLE")
AUTHENTICATION_FAILED = (516, "AUTHENTICATION_FAILED")
INTO_OUTFILE_NOT_ALLOWED = (97, "INTO_OUTFILE_NOT_ALLOWED")

_MALFORMED = {
    6,
    10,
    15,
    25,
    26,
    27,
    36,
    38,
    41,
    44,
    53,
    62,
    69,
    72,
    117,
    190,
    271,
    307,
    374,
    376,
    427,
    441,
    456,
    457,
    467,
    599,
    675,
}
_UNKNOWN = {46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 372}
_STATUS = {
    **dict.fromkeys(_MALFORMED, 400),
    **dict.fromkeys(_UNKNOWN, 404),
    **dict.fromkeys((192, 193, 516), 403),
    48: 501,
    159: 408,
    209: 503,
    307: 413,
}
# What the server puts behind a SELECT (see execution.py); the engine quotes the rest of the statement in its errors.
_OWN_TAIL = re.compile(r"\s*INTO OUTFILE '/dev/fd/\d+' APPEND FORMAT \w+(?: SETTINGS [^.]*)? ?(?=\.|$)")
_STOPPED_IN_TAIL = re.compile(
    r"failed at position (\d+) \('/dev/fd/\d+'\)(?: \(line \d+, col \d+\))?: '/dev/fd/\d+' APPEND[^.]*"
)
_BEFORE_FILE_NAME = len("\nINTO OUTFILE ")
_MAX_TRAILER_BYTES = 16 * 1024


class ClickHouseError(Exception):
    """An error with ClickHouse's code and name, ready for a client."""

    def __init__(self, identity: tuple[int, str], message: str) -> None:
        """Keep `identity` (code, name) and `message` (what happened, no code in it)."""
        super().__init__(message)
        self.code, self.name = identity
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status that ClickHouse answers with for this code."""
        return _STATUS.get(self.code, 500)

    def text(self, version: str) -> str:
        """The body that clients show, in the form they parse."""
        return f"Code: {self.code}. DB::Exception: {self.message} ({self.name}) (version {version} (chDB))"


def from_engine(error: BaseException) -> ClickHouseError:
    """Translate what chDB raised; its text carries the code, sometimes behind a prefix.

    Example:
        >>> from_engine(RuntimeError("Streaming query failed: Code: 60. DB::Exception: No t. (UNKNOWN_TABLE)")).code
        60
    """
    text = str(error)
    found = _ENGINE_TEXT.search(text)
    if not found:
        return ClickHouseError((1002, "UNKNOWN_EXCEPTION"), text or type(error).__name__)
    code, message, name = int(found[1]), found[2], "UNKNOWN_EXCEPTION"
    # An error that passed through several layers carries each layer's prefix and suffix.
    while True:
        message = _VERSION_SUFFIX.sub("", message)
        suffix = _NAME_SUFFIX.search(message)
        if not suffix:
            break
        name, message = suffix[1], message[: suffix.start()]
    while repeated := _ENGINE_TEXT.match(message):
        message = repeated[2]
    return ClickHouseError((code, name), _without_tail(message).rstrip())


def _without_tail(message: str) -> str:
    """Return an error as if the statement had ended where the client's did.

    Example:
        >>> _without_tail("failed at position 28 ('/dev/fd/7') (line 2, col 14): '/dev/fd/7' APPEND FORMAT CSV . End")
        'failed at position 14 (end of query). End'
    """
    message = _OWN_TAIL.sub("", message)
    return _STOPPED_IN_TAIL.sub(
        lambda match: f"failed at position {int(match[1]) - _BEFORE_FILE_NAME} (end of query)", message
    )


def exception_trailer(text: str, tag: str) -> bytes:
    """What ends a response whose first bytes have left already, so that clients find the error in it."""
    message = text.encode("utf-8", "replace")[:_MAX_TRAILER_BYTES]
    marker = b"__exception__"
    tag_bytes = tag.encode()
    length = len(message) + 1
    return b"\r\n%b\r\n%b\r\n%b\n%d %b\r\n%b\r\n" % (marker, tag_bytes, message, length, tag_bytes, marker)
