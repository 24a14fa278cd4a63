"""Which value of a project file it is that the server refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from thedata_cli.components.clickhouse.rejections import ServerError
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
    trial = _Trial(run, resource)
    if not await trial.types():
        await trial.column_parts()
        await trial.clauses()
    return trial.problems or [_problem(resource, "", error.reason)]


class _Trial:
    """One table, tried value by value; a value that is refused is left out of what is tried after it."""

    def __init__(self, run: Run, resource: Resource) -> None:
        self.problems: list[Problem] = []
        self._run = run
        self._resource = resource
        self._spec = resource.spec
        columns: Mapping[str, Any] = self._spec["columns"]  # type: ignore[assignment]
        self._declared = columns
        self._columns = {name: {**column, "default": "", "codec": ""} for name, column in columns.items()}

    async def types(self) -> bool:
        """Try the type of each column; return whether some are refused."""
        for name, column in self._columns.items():
            await self._try(f"columns.{name}.type", columns={name: column}, column_order=[name])
        return bool(self.problems)

    async def column_parts(self) -> None:
        """Try defaults and codecs."""
        for name, column in self._declared.items():
            for part in ("default", "codec"):
                changed = {**self._columns, name: {**self._columns[name], part: column[part]}}
                if column[part] and await self._try(f"columns.{name}.{part}", columns=changed):
                    self._columns = changed

    async def clauses(self) -> None:
        """Try engine, keys, TTL and settings."""
        engine = str(self._spec["engine"])
        is_merge_tree = engine.partition("(")[0].strip().endswith("MergeTree")
        order_by = "tuple()" if is_merge_tree else ""
        await self._try("table_engine", engine=engine, order_by=order_by)
        for key in ("order_by", "partition_by", "ttl"):
            if self._spec[key]:
                await self._try(key, **{key: self._spec[key]})
        if self._spec["primary_key"] != self._spec["order_by"]:
            await self._try("primary_key", order_by=self._spec["order_by"], primary_key=self._spec["primary_key"])
        settings: Mapping[str, str] = self._spec["settings"]  # type: ignore[assignment]
        for name, value in settings.items():
            await self._try(f"settings.{name}", settings={name: value})

    async def _try(self, path: str, **changes: Any) -> bool:
        """Return whether the server takes a table that differs from a plain one by `changes`."""
        plain: Spec = {
            **self._spec, "engine": "MergeTree", "columns": self._columns, "partition_by": "", "order_by": "tuple()",
            "primary_key": "", "ttl": "", "settings": {},
        }  # fmt: skip
        try:
            await self._run(f"CREATE TEMPORARY TABLE `_thedata_trial`\n{table_body({**plain, **changes})}")
        except ServerError as error:
            self.problems.append(_problem(self._resource, path, error.reason))
            return False
        await self._run("DROP TEMPORARY TABLE `_thedata_trial`")
        return True


def _problem(resource: Resource, path: str, message: str) -> Problem:
    position = resource.positions.get(path) or resource.position or SourcePosition(Path("tables"))
    return Problem(position, path, message)
