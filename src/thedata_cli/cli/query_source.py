"""Which SQL `thedata query` is to run, in which engine, and where a mistake in it stands."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thedata_cli.errors import StatementRejectedError, UsageError
from thedata_cli.project.model import Project
from thedata_cli.project.queries import NamedQuery
from thedata_cli.project.suggestions import suggest

_HINT = "thedata query ENGINE SQL, thedata query ENGINE --file FILE, or thedata query --name NAME"


@dataclass(frozen=True)
class QuerySource:
    """One statement and where it comes from.

    Attributes:
        engine: Key of the component that runs it.
        text: As it is written, so that a line of it is a line of its file.
        file: Stands in front of the place of a mistake; empty for the command line.
        chart: The chart that a named query says it is good for.
    """

    engine: str
    text: str
    file: str = ""
    chart: str = ""

    @property
    def sql(self) -> str:
        """What is sent: without the semicolon at the end, which not every engine takes."""
        return self.text.rstrip().removesuffix(";")


def find_query(project: Project, *, engine: str, sql: str | None, file: Path | None, name: str) -> QuerySource:
    """Return the query that the command line means.

    Raises:
        UsageError: It means none, or more than one, or one for an engine that the project does not have.
    """
    if sum((sql is not None, file is not None, bool(name))) != 1:
        raise UsageError("give one of SQL, --file and --name", hint=_HINT)
    if name:
        found = _of_named(_named(project, name))
        if engine not in ("", found.engine):
            raise UsageError(f"the query {name!r} is for {found.engine}, not for {engine}", hint="leave the engine out")
    elif file is not None:
        found = _from_file(project, engine, file)
    else:
        found = QuerySource(engine, sql or "")
    if found.engine not in project.components:
        raise UsageError(f"the project has no engine {found.engine!r}", hint=suggest(found.engine, project.components))
    if not found.sql.strip():
        raise UsageError("the SQL is empty", hint=_HINT)
    return found


@contextlib.contextmanager
def placed_mistakes(source: QuerySource) -> Iterator[None]:
    """Let the engine's complaint say where in the file it is, and show the line.

    Raises:
        StatementRejectedError: With `file:line:column` in front.
    """
    try:
        yield
    except StatementRejectedError as error:
        place = f"{source.file}:{error.line}:{error.column}: " if source.file and error.line else ""
        if source.file and not error.line:
            place = f"{source.file}: "
        raise StatementRejectedError(
            place + error.message,
            hint=error.hint,
            detail=error.detail or _pointed_line(source.text, error.line, error.column),
            line=error.line,
            column=error.column,
        ) from error


def _named(project: Project, name: str) -> NamedQuery:
    if name not in project.queries:
        raise UsageError(f"the project has no query {name!r}", hint=suggest(name, project.queries))
    return project.queries[name]


def _of_named(query: NamedQuery) -> QuerySource:
    return QuerySource(query.engine, query.sql, str(query.position.file), query.chart)


def _from_file(project: Project, engine: str, file: Path) -> QuerySource:
    """Read a file; one of the project's own queries knows its engine."""
    for query in project.queries.values():
        if (project.directory / query.position.file).resolve() == file.resolve():
            own = _of_named(query)
            return QuerySource(engine or own.engine, own.text, str(file), own.chart)
    if not engine:
        raise UsageError(f"which engine is to run {file}?", hint=_HINT)
    if file == Path("-"):
        return QuerySource(engine, sys.stdin.read(), "stdin")
    try:
        return QuerySource(engine, file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _pointed_line(text: str, line: int, column: int) -> str:
    r"""Return a line with a mark below the column; nothing when the engine did not say where.

    Example:
        >>> print(_pointed_line("select\n  wrong", 2, 3))
          wrong
          ^
    """
    lines = text.split("\n")
    if not 0 < line <= len(lines):
        return ""
    shown = lines[line - 1].rstrip("\r")
    if not column:
        return shown
    indent = "".join("\t" if character == "\t" else " " for character in shown[: column - 1])
    return f"{shown}\n{indent}^"
