"""How databases, tables and views are brought from one spec to another: the exact statements, and what they lose."""

from __future__ import annotations

from collections.abc import Sequence

from thedata_cli.components.clickhouse.alterations import fixed, lost_values, rows_text, table_steps
from thedata_cli.components.clickhouse.sql import literal, quoted
from thedata_cli.components.clickhouse.statements import (
    create_database,
    create_table,
    create_view,
    full_name,
    marked,
)
from thedata_cli.plan.changes import Action, Recipe, Step
from thedata_cli.plan.resources import Difference, Resource

COMPONENT = "clickhouse"


class DatabaseKind:
    """The database that holds the project's tables, where the project had to create it."""

    component = COMPONENT
    name = "database"

    def to_create(self, desired: Resource) -> Recipe:
        """Return the statement that creates it."""
        return Recipe(Action.CREATE, (Step(create_database(desired)),))

    def to_update(
        self,
        observed: Resource,  # noqa: ARG002
        desired: Resource,
        differences: Sequence[Difference],  # noqa: ARG002
    ) -> Recipe:
        """Return the statement that marks it; nothing else of a database can be declared."""
        comment = literal(marked("", desired.managed_by))
        return Recipe(Action.UPDATE, (Step(f"ALTER DATABASE {quoted(desired.id.name)} MODIFY COMMENT {comment}"),))

    def to_replace(self, observed: Resource, desired: Resource) -> Recipe:
        """Return the statements that make it anew."""
        steps = (*self.to_delete(observed).steps, *self.to_create(desired).steps)
        return Recipe(Action.REPLACE, steps, loses=_contents(observed))

    def to_delete(self, observed: Resource) -> Recipe:
        """Return the statement that drops it with all that is in it."""
        return Recipe(Action.DELETE, (Step(f"DROP DATABASE {quoted(observed.id.name)}"),), loses=_contents(observed))


def _contents(database: Resource) -> str:
    return f"database {database.id.name} with all its tables"


class ViewKind:
    """A view holds no data, so that it is simply made anew."""

    component = COMPONENT
    name = "view"

    def to_create(self, desired: Resource) -> Recipe:
        """Return the statement that creates it."""
        return Recipe(Action.CREATE, (Step(create_view(desired)),))

    def to_update(
        self,
        observed: Resource,  # noqa: ARG002
        desired: Resource,
        differences: Sequence[Difference],
    ) -> Recipe:
        """Return the statement that sets its query, or only its comment."""
        if any(difference.path != "comment" for difference in differences):
            return Recipe(Action.UPDATE, (Step(create_view(desired, or_replace=True)),))
        return Recipe(Action.UPDATE, (_comment_step(desired),))

    def to_replace(self, observed: Resource, desired: Resource) -> Recipe:  # noqa: ARG002
        """Return the statement that makes it anew in one go."""
        return Recipe(Action.REPLACE, (Step(create_view(desired, or_replace=True)),))

    def to_delete(self, observed: Resource) -> Recipe:
        """Return the statement that drops it."""
        return Recipe(Action.DELETE, (Step(f"DROP VIEW {full_name(observed)}"),))


class TableKind:
    """A table: columns, TTL, settings and comment change in place; engine, keys and partitions do not."""

    component = COMPONENT
    name = "table"

    def to_create(self, desired: Resource) -> Recipe:
        """Return the statement that creates it."""
        return Recipe(Action.CREATE, (Step(create_table(desired)),))

    def to_update(self, observed: Resource, desired: Resource, differences: Sequence[Difference]) -> Recipe:
        """Return the ALTER statements, or those that make it anew where the server cannot change it in place."""
        if causes := list(fixed(observed.spec, desired.spec)):
            return self._anew(observed, desired, f"{' and '.join(causes)} cannot be changed in place")
        paths = {difference.path.partition(".")[0] for difference in differences}
        is_commented = "comment" in paths or observed.managed_by != desired.managed_by
        steps = table_steps(observed, desired)
        return Recipe(
            Action.UPDATE, (*steps, *([_comment_step(desired)] if is_commented else [])),
            loses="" if observed.spec.get("rows") == 0 else lost_values(observed, desired),
        )  # fmt: skip

    def to_replace(self, observed: Resource, desired: Resource) -> Recipe:
        """Return the statements that drop it and create it anew."""
        return self._anew(observed, desired, "")

    def to_delete(self, observed: Resource) -> Recipe:
        """Return the statement that drops it."""
        return Recipe(Action.DELETE, (_drop(observed),), loses=_all_rows(observed))

    def _anew(self, observed: Resource, desired: Resource, cause: str) -> Recipe:
        steps = (_drop(observed), *self.to_create(desired).steps)
        return Recipe(Action.REPLACE, steps, loses=_all_rows(observed), cause=cause)


KINDS = (DatabaseKind(), TableKind(), ViewKind())


def _comment_step(desired: Resource) -> Step:
    comment = marked(str(desired.spec["comment"]), desired.managed_by)
    return Step(f"ALTER TABLE {full_name(desired)} MODIFY COMMENT {literal(comment)}")


def _drop(observed: Resource) -> Step:
    return Step(f"DROP TABLE {full_name(observed)}")


def _all_rows(observed: Resource) -> str:
    """Say what dropping a table loses; a table known to be empty loses nothing."""
    if observed.spec.get("rows") == 0:
        return ""
    return rows_text(observed) or "all its rows"
