"""The errors that ClickHouse answers with: code, reason, and the place in the statement."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from thedata_cli.component_api.sql_files import place_of
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError

ROW_ERRORS = frozenset(
    {6, 25, 26, 27, 32, 33, 38, 41, 53, 69, 70, 72, 117, 130, 131, 153, 321, 349, 376, 395, 407, 441, 467, 469, 636}
    | {675, 676, 691}
)
"""The row itself is wrong: a value that does not parse, or does not fit its column."""

# The server cannot take it now: time, memory, disk, too many parts, shutting down.
_PASSING_ERRORS = frozenset({159, 164, 202, 209, 210, 236, 241, 242, 243, 252, 290, 319, 341, 394, 425, 473, 745, 999})

_UNKNOWN_NAME = re.compile(
    r"(?:[Uu]nknown (?:(?:table )?expression identifier|identifier|function)|Function with name) [`']?(\w+)"
)


class ServerError(StatementRejectedError):
    """ClickHouse refused a statement; `number` is its own error code, `reason` its words without version and name."""

    def __init__(self, number: int, reason: str, *, detail: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(f"ClickHouse error {number}: {reason}", detail=detail, line=line, column=column)
        self.number = number
        self.reason = reason


@contextlib.contextmanager
def try_again_later(table: str) -> Iterator[None]:
    """Turn what passes by itself into "try again later"."""
    try:
        yield
    except ServerError as error:
        if error.number not in _PASSING_ERRORS:
            raise
        raise ServiceUnreachableError(
            f"clickhouse cannot take rows for {table} now: {error.reason}",
            hint="`thedata doctor` tells what it lacks",
        ) from error


def row_number(error: ServerError) -> int | None:
    """Return which of the inserted rows is at fault, from 0; None when the server does not say."""
    match = re.search(r"\(at row (\d+)\)", error.reason)
    return int(match[1]) - 1 if match else None


def server_error(text: str, sql: str = "", *, number: int = 0) -> ServerError:
    r"""Read the body of an error response.

    Example:
        >>> error = server_error(
        ...     "Code: 62. DB::Exception: Syntax error: failed at position 10 (frm): frm t. (SYNTAX_ERROR)",
        ...     "SELECT 1\nfrm t")
        >>> error.number, error.reason, error.line, error.column
        (62, 'Syntax error: failed at position 10 (frm): frm t.', 2, 1)
    """
    match = re.search(r"Code: (\d+)\. DB::Exception: (.*)", text, re.DOTALL)
    reason = (match[2] if match else text).strip()
    reason = re.sub(r"\s*\(version [^()]*(?:\([^()]*\)[^()]*)*\)\s*$", "", reason)
    reason = re.sub(r"\s*\([A-Z][A-Z0-9_]+\)$", "", reason)
    reason, expected, alternatives = reason.partition(" Expected one of:")
    line, column = _place(reason, sql)
    return ServerError(
        int(match[1]) if match else number,
        reason,
        detail=(expected + alternatives).strip(),
        line=line,
        column=column,
    )


def _place(reason: str, sql: str) -> tuple[int, int]:
    """Return line and column of what the error is about; zeros when it does not say."""
    if match := re.search(r"failed at position (\d+)", reason):
        return place_of(sql, len(sql.encode()[: int(match[1]) - 1].decode(errors="ignore")))
    if (match := _UNKNOWN_NAME.search(reason)) and (at := _only_place(match[1], sql)) is not None:
        return place_of(sql, at)
    return 0, 0


def _only_place(name: str, sql: str) -> int | None:
    found = [match.start() for match in re.finditer(rf"(?<![\w.]){re.escape(name)}(?!\w)", sql)]
    return found[0] if len(found) == 1 else None
