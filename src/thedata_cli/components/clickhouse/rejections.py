"""The errors that ClickHouse answers with: code, reason, and the place in the statement."""

from __future__ import annotations

import re

from thedata_cli.errors import StatementRejectedError

_UNKNOWN_NAME = re.compile(
    r"(?:[Uu]nknown (?:(?:table )?expression identifier|identifier|function)|Function with name) [`']?(\w+)"
)


class ServerError(StatementRejectedError):
    """ClickHouse refused a statement; `number` is its own error code, `reason` its words without version and name."""

    def __init__(self, number: int, reason: str, *, detail: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(f"ClickHouse error {number}: {reason}", detail=detail, line=line, column=column)
        self.number = number
        self.reason = reason


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
        before = sql.encode()[: int(match[1]) - 1].decode(errors="ignore")
    elif (match := _UNKNOWN_NAME.search(reason)) and (at := _only_place(match[1], sql)) is not None:
        before = sql[:at]
    else:
        return 0, 0
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _only_place(name: str, sql: str) -> int | None:
    found = [match.start() for match in re.finditer(rf"(?<![\w.]){re.escape(name)}(?!\w)", sql)]
    return found[0] if len(found) == 1 else None
