"""Named queries: plain SQL files whose first comments say which engine they are for."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from thedata_cli.errors import Problem, SourcePosition
from thedata_cli.project.documents import read_text
from thedata_cli.project.registry import unknown_engine
from thedata_cli.project.suggestions import suggest

HEADERS = ("engine", "description", "chart")

_COMMENT = re.compile(r"\s*--\s?(.*)")
_HEADER = re.compile(r"\s*--\s*([A-Za-z][\w-]*)\s*:\s*(.*?)\s*")
_CHART = re.compile(r"[a-z]+(\s+\w+=\S+)*")


@dataclass(frozen=True)
class NamedQuery:
    """One file of `queries/`.

    Attributes:
        name: The file's name without its ending.
        engine: Key of the component that runs it.
        sql: The whole text, headers included, so that a line of it is the same line of the file.
        description: For a person, one line.
        chart: Chart to draw of the result, such as `bar x=carrier y=delay`; empty for none.
        position: Where the file begins.
    """

    name: str
    engine: str
    sql: str
    position: SourcePosition
    description: str = ""
    chart: str = ""


def read_query(
    directory: Path,
    file: Path,
    engines: Collection[str],
    problems: list[Problem],
) -> NamedQuery | None:
    """Read one query, or return None after reporting what is wrong.

    Args:
        directory: Root of the project.
        file: Relative to it.
        engines: Components of the project that may run it.
        problems: Gets every mistake found.
    """
    text = read_text(directory, file, problems)
    if text is None:
        return None
    found: list[Problem] = []
    headers = _headers(file, text, found)
    begin = SourcePosition(file, 1, 1)
    if "engine" not in headers:
        found.append(Problem(begin, "engine", "is missing", "begin the file with a line `-- engine: NAME`"))
    else:
        engine, position = headers["engine"]
        if engine not in engines:
            found.append(Problem(position, "engine", *unknown_engine(engine, engines)))
    if "chart" in headers and not _CHART.fullmatch(headers["chart"][0]):
        chart, position = headers["chart"]
        found.append(Problem(position, "chart", f"{chart!r} is no chart", "write it as `bar x=COLUMN y=COLUMN`"))
    if not re.sub(r"--[^\n]*", "", text).strip(" \t\r\n;"):
        found.append(Problem(begin, "", "the file has no SQL"))
    problems.extend(found)
    if found:
        return None
    values = {key: value for key, (value, _) in headers.items()}
    return NamedQuery(file.stem, values["engine"], text, begin, values.get("description", ""), values.get("chart", ""))


def _headers(file: Path, text: str, problems: list[Problem]) -> dict[str, tuple[str, SourcePosition]]:
    """Return the headers and where their values stand; a misspelt one is a mistake, any other comment is not."""
    headers: dict[str, tuple[str, SourcePosition]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not _COMMENT.fullmatch(line):
            break
        header = _HEADER.fullmatch(line)
        if not header:
            continue
        key, value = header[1], header[2]
        hint = suggest(key, HEADERS)
        if key not in HEADERS:
            if hint.startswith("did you mean"):
                position = SourcePosition(file, number, header.start(1) + 1)
                problems.append(Problem(position, key, "unknown header", hint))
            continue
        if key in headers:
            position = SourcePosition(file, number, header.start(1) + 1)
            problems.append(Problem(position, key, "the header is written twice"))
            continue
        headers[key] = (value, SourcePosition(file, number, header.start(2) + 1))
    return headers
