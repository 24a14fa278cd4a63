"""Views asked about before anything is changed: a query that the server refuses must not cost the view that is there.

The server explains the query of each new or changed view. What the query reads and is not there yet, or not yet as
declared, is put before it by name: views by their own queries, webhook sources by the column that they will have. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from thedata_cli.component_api.sql_files import place_of
from thedata_cli.components.materialize.objects import (
    CLUSTER,
    MATERIALIZED_VIEW,
    SECRET,
    SOURCE,
    VIEW,
    definition_digest,
)
from thedata_cli.components.materialize.sql_text import Token, quoted, tokenize
from thedata_cli.components.materialize.webhook_sources import JSON, webhook_definition
from thedata_cli.errors import Problem, SourcePosition, StatementRejectedError
from thedata_cli.plan.resources import Resource, ResourceId

_VIEWS = (VIEW, MATERIALIZED_VIEW)


@dataclass(frozen=True)
class ViewCheck:
    """One question to the server.

    Attributes:
        resource: The view.
        sql: The question.
        begin: Where the view's own query begins in it.
        query: The view's own query.
        offset: Where that stands in the view's statement.
    """

    resource: Resource
    sql: str
    begin: int
    query: str
    offset: int

    def problem(self, error: StatementRejectedError) -> Problem | None:
        """Return the refusal as a mistake in the view's file; None when it is one in what the view reads."""
        start = self.resource.position
        if start is None:
            return None
        message = error.message.removeprefix("Materialize: ")
        if not error.line:
            return Problem(start, "", message, error.hint)
        lines = self.sql.split("\n")
        at = sum(len(line) + 1 for line in lines[: error.line - 1]) + error.column - 1 - self.begin
        if not 0 <= at <= len(self.query):
            return None
        line, column = place_of(self.resource.statement, self.offset + at)
        column += start.column - 1 if line == 1 else 0
        return Problem(SourcePosition(start.file, start.line + line - 1, column), "", message, error.hint)


def view_checks(desired: Sequence[Resource], observed: Sequence[Resource]) -> Iterator[ViewCheck]:
    """Yield a question for each view that will be made, or made anew, what it reads before it.

    Not for those that read what nothing can stand in for.
    """
    wanted = {resource.id: resource for resource in desired}
    digests = {resource.id: resource.spec["digest"] for resource in observed}
    order = TopologicalSorter({one.id: [other for other in one.depends_on if other in wanted] for one in desired})
    changed: set[ResourceId] = set()
    for resource in [wanted[one] for one in order.static_order()]:
        if resource.id.kind in (CLUSTER, SECRET):
            continue
        is_as_declared = digests.get(resource.id) == definition_digest(resource.statement)
        if is_as_declared and changed.isdisjoint(resource.depends_on):
            continue
        changed.add(resource.id)
        if resource.id.kind not in _VIEWS:
            continue
        stand_ins: dict[ResourceId, str] = {}
        if not all(_stand_in(one, wanted, changed, stand_ins) for one in resource.depends_on):
            continue
        _, query, offset = _parts(resource.statement)
        before = "EXPLAIN "
        if stand_ins:
            before += f"WITH {', '.join(stand_ins.values())} SELECT * FROM ("
        after = "\n) AS thedata_check" if stand_ins else ""
        yield ViewCheck(resource, f"{before}{query}{after}", len(before), query, offset)


def _stand_in(
    one: ResourceId,
    wanted: Mapping[ResourceId, Resource],
    changed: Collection[ResourceId],
    found: dict[ResourceId, str],
) -> bool:
    """Add what stands in for a relation, and before it for what that reads; False when nothing can."""
    if one not in changed or one in found:
        return True
    resource = wanted[one]
    if one.kind in _VIEWS:
        columns, query, _ = _parts(resource.statement)
        if not all(_stand_in(other, wanted, changed, found) for other in resource.depends_on):
            return False
        found[one] = f"{quoted(one.name)}{columns} AS ({query}\n)"
        return True
    if one.kind == SOURCE and _has_only_a_body(resource.statement):
        found[one] = f"{quoted(one.name)} AS (SELECT CAST(NULL AS jsonb) AS body)"
        return True
    return False


def _has_only_a_body(statement: str) -> bool:
    tokens = tokenize(statement)
    return webhook_definition(statement).body_format == JSON and not any(token.is_word("include") for token in tokens)


def _parts(statement: str) -> tuple[str, str, int]:
    """Return the list of columns with its parentheses, the query, and where it begins, of a CREATE VIEW statement."""
    tokens = tokenize(statement)
    depth, opened = 0, 0
    columns = ""
    for at, token in enumerate(tokens):
        if token.is_symbol("("):
            opened = at if depth == 0 else opened
            depth += 1
        elif token.is_symbol(")"):
            depth -= 1
            if depth == 0 and _is_list_of_columns(tokens, opened):
                columns = statement[tokens[opened].start : token.end]
        elif depth == 0 and token.is_word("as") and at + 1 < len(tokens):
            begin = tokens[at + 1].start
            return columns, statement[begin:], begin
    return columns, "", len(statement)


def _is_list_of_columns(tokens: Sequence[Token], opened: int) -> bool:
    """Whether parentheses follow the name, and not WITH."""
    return tokens[opened - 1].is_name and not tokens[opened - 1].is_word("with")
