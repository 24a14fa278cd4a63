"""How each kind of object is brought from one definition to another: the exact statements, and what they lose."""

from __future__ import annotations

import re
from collections.abc import Sequence

from thedata_cli.components.materialize.objects import (
    CLUSTER,
    INDEX,
    MATERIALIZED_VIEW,
    SECRET,
    SOURCE,
    TABLE,
    VIEW,
    definition_digest,
)
from thedata_cli.components.materialize.sql_text import literal, quoted, tokenize
from thedata_cli.plan.changes import Action, Recipe, Step
from thedata_cli.plan.resources import Difference, Resource

COMPONENT = "materialize"

_MARK = re.compile(r"\[thedata:(?P<project>[A-Za-z0-9_-]+) (?P<digest>[0-9a-f]{16})\]")


def mark(project: str, digest: str) -> str:
    """Return the comment that says which project made an object, and from which definition or value.

    Example:
        >>> mark("flights", definition_digest("CREATE VIEW v AS SELECT 1"))
        '[thedata:flights 305be499cecab420]'
    """
    return f"[thedata:{project} {digest}]"


def read_mark(comment: str) -> tuple[str, str]:
    """Return project and digest of a comment; empty ones when no project made the object.

    Example:
        >>> read_mark("[thedata:flights 0123456789abcdef]"), read_mark("by hand")
        (('flights', '0123456789abcdef'), ('', ''))
    """
    match = _MARK.search(comment)
    return (match["project"], match["digest"]) if match else ("", "")


class ObjectKind:
    """One kind of object: nothing of it is changed in place, and what reads it is made anew with it.

    Args:
        name: The kind, as in `ResourceId.kind`.
        loses: What goes with it that the server cannot make again; empty for none.
    """

    component = COMPONENT

    def __init__(self, name: str, *, loses: str = "") -> None:
        self.name = name
        self._loses = loses

    def to_create(self, desired: Resource) -> Recipe:
        """Return the declared statement, and the one that marks the object."""
        return Recipe(Action.CREATE, (Step(desired.statement), _mark_step(desired)))

    def to_update(self, observed: Resource, desired: Resource, differences: Sequence[Difference]) -> Recipe:
        """Return the statement that marks it, or those that make it anew."""
        if not differences:
            return Recipe(Action.UPDATE, (_mark_step(desired),))
        return self.to_replace(observed, desired)

    def to_replace(self, observed: Resource, desired: Resource) -> Recipe:
        """Return the statements that drop it with its dependents and create it anew; they are created by their own."""
        steps = (*self.to_delete(observed).steps, *self.to_create(desired).steps)
        return Recipe(Action.REPLACE, steps, loses=self._loses)

    def to_delete(self, observed: Resource) -> Recipe:
        """Return the statements that drop it, the project's objects that need it before it.

        Never CASCADE: it would take along what the project did not make.
        """
        dependents: Sequence[tuple[str, str]] = observed.spec.get("dependents") or ()  # type: ignore[assignment]
        before = [_drop(kind, name) for kind, name in dependents]
        return Recipe(Action.DELETE, (*before, _drop(self.name, observed.id.name)), loses=self._loses)


class ClusterKind(ObjectKind):
    """A cluster, which changes in place, so that what runs in it stays."""

    def to_update(self, observed: Resource, desired: Resource, differences: Sequence[Difference]) -> Recipe:  # noqa: ARG002
        """Return the statements that set its options and mark it."""
        name = quoted(desired.id.name)
        change = [Step(f"ALTER CLUSTER {name} SET ({cluster_options(desired.statement)})")] if differences else []
        return Recipe(Action.UPDATE, (*change, _mark_step(desired)))


class SecretKind(ObjectKind):
    """A secret, whose value changes in place: what uses it goes on with the new one."""

    def to_update(self, observed: Resource, desired: Resource, differences: Sequence[Difference]) -> Recipe:  # noqa: ARG002
        """Return the statements that set its value, which is put in when they are sent, and mark it."""
        variable = desired.statement[desired.statement.rindex(":") :]
        change = [Step(f"ALTER SECRET {quoted(desired.id.name)} AS {variable}")] if differences else []
        return Recipe(Action.UPDATE, (*change, _mark_step(desired)))


KINDS = (
    ClusterKind(CLUSTER),
    SecretKind(SECRET),
    ObjectKind(SOURCE, loses="all its rows"),
    ObjectKind(TABLE, loses="all its rows"),
    ObjectKind(VIEW),
    ObjectKind(MATERIALIZED_VIEW),
    ObjectKind(INDEX),
)


def cluster_options(statement: str) -> str:
    """Return the options of a CREATE CLUSTER statement as written, with or without parentheses around them.

    Example:
        >>> cluster_options("CREATE CLUSTER serve (SIZE = '25cc', REPLICATION FACTOR = 1)")
        "SIZE = '25cc', REPLICATION FACTOR = 1"
    """
    tokens = tokenize(statement)
    named = 5 if tokens[2].is_word("if") and tokens[3].is_word("not") else 2
    options = tokens[named + 1 :]
    if options and options[0].is_symbol("("):
        options = options[1:-1]
    return statement[options[0].start : options[-1].end] if options else ""


def _mark_step(desired: Resource) -> Step:
    digest = desired.spec["value"] if desired.id.kind == SECRET else definition_digest(desired.statement)
    comment = literal(mark(desired.managed_by, str(digest)))
    return Step(f"COMMENT ON {_keyword(desired.id.kind)} {quoted(desired.id.name)} IS {comment}")


def _drop(kind: str, name: str) -> Step:
    # A dependency that was replaced before it in the same plan has taken it along.
    return Step(f"DROP {_keyword(kind)} IF EXISTS {quoted(name)}")


def _keyword(kind: str) -> str:
    return kind.replace("_", " ").upper()
