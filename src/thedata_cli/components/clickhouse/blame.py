"""Which value of a project file it is that the server refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from thedata_cli.components.clickhouse.connection import ServerError
from thedata_cli.components.clickhouse.statements import table_body
from thedata_cli.errors import Problem, SourcePosition
from thedata_cli.plan.resources import Resource, Spec

Run = Callable[[str], Awaitable[None]]


def view_problem(resource: Resource, error: ServerError) -> Problem:
    """Report a query that the server refuses, with the place inside it."""
    # The first line of the statement is not the query's.
    where = f"line {error.line - 1}, column {error.column} of the query: " if error.line > 1 else ""
    return _problem(resource, "query", where + error.reason)


async def table_problems(run: Run, resource: Resource, error: ServerError) -> list[Problem]:
    """Report each value that the server refuses, by trying them one by one.

    Args:
        run: Runs a statement in the session.
        resource: The table as declared.
        error: Why the server refused the whole of it.
    """
    problems: list[Problem] = []
    for path, spec in _trials(resource.spec):
        if not path.endswith(".type") and any(problem.path.endswith(".type") for problem in problems):
            break
        reason = await _refusal(run, spec)
        if reason:
            problems.append(_problem(resource, path, reason))
    return problems or [_problem(resource, "", error.reason)]


async def _refusal(run: Run, spec: Spec) -> str:
    """Return why the server refuses a table; empty when it takes it."""
    try:
        await run(f"CREATE TEMPORARY TABLE `_thedata_trial`\n{table_body(spec)}")
    except ServerError as error:
        return error.reason
    await run("DROP TEMPORARY TABLE `_thedata_trial`")
    return ""


def _trials(spec: Spec) -> Iterator[tuple[str, Spec]]:
    """Yield the path of each value, and a table that has no other one that could be refused."""
    columns: Mapping[str, Any] = spec["columns"]  # type: ignore[assignment]
    plain = {name: {**column, "default": "", "codec": "", "comment": ""} for name, column in columns.items()}
    empty: dict[str, Any] = {
        **spec, "engine": "MergeTree", "columns": plain, "partition_by": "", "order_by": "tuple()", "primary_key": "",
        "ttl": "", "settings": {},
    }  # fmt: skip
    for name in columns:
        yield f"columns.{name}.type", {**empty, "columns": {name: plain[name]}, "column_order": [name]}
    for name, column in columns.items():
        for part in ("default", "codec"):
            if column[part]:
                changed = {**plain, name: {**plain[name], part: column[part]}}
                yield f"columns.{name}.{part}", {**empty, "columns": changed}
    # Keys may use columns by their defaults, so that these stay.
    whole = {**empty, "columns": columns}
    is_merge_tree = str(spec["engine"]).partition("(")[0].strip().endswith("MergeTree")
    yield "table_engine", {**whole, "engine": spec["engine"], "order_by": "tuple()" if is_merge_tree else ""}
    for key in ("order_by", "partition_by", "ttl"):
        if spec[key]:
            yield key, {**whole, key: spec[key]}
    if spec["primary_key"] != spec["order_by"]:
        yield "primary_key", {**whole, "order_by": spec["order_by"], "primary_key": spec["primary_key"]}
    settings: Mapping[str, str] = spec["settings"]  # type: ignore[assignment]
    for name, value in settings.items():
        engine = {"engine": spec["engine"], "order_by": "tuple()" if is_merge_tree else ""}
        yield f"settings.{name}", {**whole, **engine, "settings": {name: value}}


def _problem(resource: Resource, path: str, message: str) -> Problem:
    position = resource.positions.get(path) or resource.position or SourcePosition(Path("tables"))
    return Problem(position, path, message)
