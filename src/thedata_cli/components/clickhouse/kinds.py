"""How databases, tables and views are brought from one spec to another: the exact statements, and what they lose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thedata_cli.components.clickhouse.column_types import keeps_every_value
from thedata_cli.components.clickhouse.sql import identifiers, literal, quoted, split_list, unquoted
from thedata_cli.components.clickhouse.statements import (
    assignments,
    column_definition,
    create_database,
    create_table,
    create_view,
    full_name,
    marked,
)
from thedata_cli.plan.changes import Action, Recipe, Step
from thedata_cli.plan.resources import Difference, Resource

COMPONENT = "clickhouse"

# Part of a table's files from its first row on, so that the server never changes them.
_FIXED_SETTINGS = frozenset(
    {"index_granularity", "index_granularity_bytes", "enable_mixed_granularity_parts", "storage_policy", "disk"}
)


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
    tables = database.spec.get("tables")
    if not tables:
        return ""
    return f"database {database.id.name} with {tables} table{'s' if tables != 1 else ''}{_rows_text(database, ' and ')}"


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
        if causes := list(_fixed(observed.spec, desired.spec)):
            return self._anew(observed, desired, f"{' and '.join(causes)} cannot be changed in place")
        steps = []
        if commands := list(_column_commands(observed.spec, desired.spec)):
            steps.append(_alter(desired, commands))
        paths = {difference.path.partition(".")[0] for difference in differences}
        if "ttl" in paths:
            ttl = desired.spec["ttl"]
            steps.append(_alter(desired, [f"MODIFY TTL {ttl}" if ttl else "REMOVE TTL"]))
        steps += [_alter(desired, [command]) for command in _setting_commands(observed.spec, desired.spec)]
        if "comment" in paths or observed.managed_by != desired.managed_by:
            steps.append(_comment_step(desired))
        return Recipe(Action.UPDATE, tuple(steps), loses=_lost_in_place(observed, desired))

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


def _alter(resource: Resource, commands: Sequence[str]) -> Step:
    separator = ",\n    " if len(commands) > 1 else ""
    first = "\n    " if separator else " "
    return Step(f"ALTER TABLE {full_name(resource)}{first}{separator.join(commands)}")


def _comment_step(desired: Resource) -> Step:
    comment = marked(str(desired.spec["comment"]), desired.managed_by)
    return _alter(desired, [f"MODIFY COMMENT {literal(comment)}"])


def _drop(observed: Resource) -> Step:
    return Step(f"DROP TABLE {full_name(observed)}")


def _rows_text(resource: Resource, before: str = "") -> str:
    rows = resource.spec.get("rows")
    return f"{before}{rows:,} row{'s' if rows != 1 else ''}" if isinstance(rows, int) else ""


def _all_rows(observed: Resource) -> str:
    """Say what dropping a table loses; a table known to be empty loses nothing."""
    if observed.spec.get("rows") == 0:
        return ""
    return _rows_text(observed) or "all its rows"


def _fixed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs and cannot be changed in place, in words."""
    for key, words in (("engine", "table_engine"), ("partition_by", "partition_by"), ("primary_key", "primary_key")):
        if before[key] != after[key]:
            yield words
    if before["order_by"] != after["order_by"] and not _appended_keys(before, after):
        yield "order_by"
    settings = before["settings"], after["settings"]
    yield from sorted(f"settings.{name}" for name in _FIXED_SETTINGS if settings[0].get(name) != settings[1].get(name))
    keys = _key_columns(before)
    for name, column in before["columns"].items():
        wanted = after["columns"].get(name)
        if name in keys and wanted and (column["type"], column["default"]) != (wanted["type"], wanted["default"]):
            yield f"column {name} of a key"
        elif wanted and _kind_of_default(column) != _kind_of_default(wanted) and "ALIAS" in (
            _kind_of_default(column), _kind_of_default(wanted),
        ):  # fmt: skip
            yield f"whether column {name} is stored"


def _kind_of_default(column: Mapping[str, Any]) -> str:
    return str(column["default"]).partition(" ")[0]


def _key_columns(spec: Mapping[str, Any]) -> frozenset[str]:
    return identifiers(" , ".join((spec["order_by"], spec["primary_key"], spec["partition_by"], spec["engine"])))


def _key_parts(key: str) -> list[str]:
    return split_list(key[1:-1]) if key.startswith("(") else [] if key == "tuple()" else [key]


def _appended_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what a sorting key gains, if it gains nothing but new columns without a default at its end."""
    old, new = _key_parts(before["order_by"]), _key_parts(after["order_by"])
    added = new[len(old) :]
    if new[: len(old)] != old or not old:
        return []
    fresh = {
        name for name in after["columns"] if name not in before["columns"] and not after["columns"][name]["default"]
    }
    return added if {unquoted(name) for name in added} <= fresh else []


def _column_commands(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield the commands that bring one list of columns to another, in an order that the server takes."""
    old, new = before["columns"], after["columns"]
    for name in old:
        if name not in new:
            yield f"DROP COLUMN {quoted(name)}"
    order = [name for name in before["column_order"] if name in new]
    for position, name in enumerate(after["column_order"]):
        place = f"AFTER {quoted(after['column_order'][position - 1])}" if position else "FIRST"
        is_in_place = order[position : position + 1] == [name]
        if name not in old:
            yield f"ADD COLUMN {column_definition(name, new[name])} {place}"
        else:
            yield from _one_column(name, old[name], new[name], "" if is_in_place else f" {place}")
        if not is_in_place:
            order = [other for other in order if other != name]
            order.insert(position, name)
    if added := _appended_keys(before, after):
        yield f"MODIFY ORDER BY ({', '.join([*_key_parts(before['order_by']), *added])})"


def _one_column(name: str, old: Mapping[str, Any], new: Mapping[str, Any], place: str) -> Iterator[str]:
    """Yield the commands for a column that stays."""
    column = quoted(name)
    if old["default"] and not new["default"]:
        yield f"MODIFY COLUMN {column} REMOVE {_kind_of_default(old)}"
    if old["codec"] and not new["codec"]:
        yield f"MODIFY COLUMN {column} REMOVE CODEC"
    is_default_new = bool(new["default"]) and old["default"] != new["default"]
    is_codec_new = bool(new["codec"]) and old["codec"] != new["codec"]
    if old["type"] != new["type"] or is_default_new or is_codec_new or place:
        parts = [column, new["type"], new["default"] if is_default_new else "", new["codec"] if is_codec_new else ""]
        yield "MODIFY COLUMN " + " ".join(part for part in parts if part) + place
    if old["comment"] != new["comment"]:
        yield f"COMMENT COLUMN {column} {literal(new['comment'])}"


def _setting_commands(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = before["settings"], after["settings"]
    if changed := {name: value for name, value in new.items() if old.get(name) != value}:
        yield f"MODIFY SETTING {assignments(changed)}"
    if gone := sorted(old.keys() - new.keys()):
        yield f"RESET SETTING {', '.join(gone)}"


def _lost_in_place(observed: Resource, desired: Resource) -> str:
    """Say what the ALTER statements lose: dropped columns, values that do not fit, rows past a new TTL."""
    if observed.spec.get("rows") == 0:
        return ""
    before: Mapping[str, Any] = observed.spec["columns"]  # type: ignore[assignment]
    after: Mapping[str, Any] = desired.spec["columns"]  # type: ignore[assignment]
    lost = [
        f"column {name}{_rows_text(observed, ' of ')}"
        for name in before
        if name not in after and _kind_of_default(before[name]) != "ALIAS"
    ]
    lost += [
        f"values of {name} that do not fit {after[name]['type']}"
        for name in before
        if name in after and not keeps_every_value(before[name]["type"], after[name]["type"])
    ]
    if desired.spec["ttl"] and desired.spec["ttl"] != observed.spec["ttl"]:
        lost.append(f"rows past the new TTL {desired.spec['ttl']}")
    return ", ".join(lost)
