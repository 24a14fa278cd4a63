"""Every error that reaches a user, and the exit code of each.

    TheDataError                    1  failed
    ├── UsageError                  2  wrong command line
    ├── InvalidProjectError         3  the project's files, all mistakes at once
    ├── ServiceUnreachableError     4  connection, timeout, login
    ├── UnhealthyError              5  a health check, or a test, failed
    ├── RefusedError                7  data loss not allowed, answered no, or no terminal to ask on
    ├── StatementRejectedError      1  an engine refused a statement
    ├── InvalidMessageError         1  a message breaks its contract
    ├── ServiceStartError           1  a service did not start
    └── MissingDependencyError      1  a program or package is not on this machine

Errors never print: the boundary in `cli/run_command.py` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import ClassVar


class ExitCode(IntEnum):
    """What a process of `thedata` ends with (documented in docs/cli.md)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INVALID_PROJECT = 3
    UNREACHABLE = 4
    UNHEALTHY = 5
    DIFFERENCES = 6
    REFUSED = 7
    INTERRUPTED = 130


class TheDataError(Exception):
    """Something a user can understand and mend.

    Args:
        message: What happened, with the name and address of what it happened to.
        hint: The command, or the edit, that mends it. Empty when there is none.
        detail: Further lines to show as they are, such as the first failing log line.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail


class UsageError(TheDataError):
    """The command line asks for something that does not exist or does not fit."""

    code = "usage"
    exit_code = ExitCode.USAGE


@dataclass(frozen=True, order=True)
class SourcePosition:
    """A place in a file of the project; `line` and `column` count from 1, 0 means unknown."""

    file: Path
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return str(self.file)
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a project file.

    Attributes:
        position: Where it stands; the file is relative to the project.
        path: The key path inside the file, such as `columns.0.type`; empty for the whole file.
        message: What is wrong, naming the value.
        expected: What would be right; empty when the message already says so.
    """

    position: SourcePosition
    path: str
    message: str
    expected: str = ""

    def __str__(self) -> str:
        where = f"{self.position}: {self.path}: " if self.path else f"{self.position}: "
        return where + self.message + (f"; {self.expected}" if self.expected else "")


class InvalidProjectError(TheDataError):
    """The project's files have mistakes; all of them are listed.

    Args:
        problems: The mistakes, in any order.
        what: Whose files they are, when not the project's.
    """

    code = "invalid_project"
    exit_code = ExitCode.INVALID_PROJECT

    def __init__(
        self,
        problems: Sequence[Problem],
        *,
        hint: str = "`thedata schema` prints every allowed field",
        what: str = "the project",
    ) -> None:
        self.problems = tuple(sorted(set(problems)))
        count = len(self.problems)
        super().__init__(
            f"{what} has {count} mistake{'s' if count != 1 else ''}",
            hint=hint,
            detail="\n".join(map(str, self.problems)),
        )


class ServiceUnreachableError(TheDataError):
    """A service did not answer, or did not let us in."""

    code = "service_unreachable"
    exit_code = ExitCode.UNREACHABLE


class UnhealthyError(TheDataError):
    """A service answers but is not well, or a check failed."""

    code = "unhealthy"
    exit_code = ExitCode.UNHEALTHY


class RefusedError(TheDataError):
    """The command would do what was not allowed: lose data, or act on a no."""

    code = "refused"
    exit_code = ExitCode.REFUSED


class StatementRejectedError(TheDataError):
    """An engine refused a statement or an API call.

    Args:
        message: The engine's own words, with its name.
        line: Line inside the statement, counted from 1; 0 when the engine does not say.
        column: Column inside that line, counted from 1; 0 when the engine does not say.
    """

    code = "statement_rejected"

    def __init__(self, message: str, *, hint: str = "", detail: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.line = line
        self.column = column


class InvalidMessageError(TheDataError):
    """A message that is to be published breaks its contract."""

    code = "invalid_message"


class ServiceStartError(TheDataError):
    """A service of the stack did not start, or did not become healthy in time."""

    code = "service_start"


class MissingDependencyError(TheDataError):
    """A program, package or file that this part needs is not on this machine."""

    code = "missing_dependency"
