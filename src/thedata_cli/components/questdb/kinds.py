"""Which statements bring a QuestDB table or materialized view from one spec to another. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thedata_cli.components.questdb.columns import DEFAULT_SYMBOL_CAPACITY, converts, keeps_values
from thedata_cli.components.questdb.ledger import CREATE_LEDGER, claim, intent, release
from thedata_cli.components.questdb.retention import is_shorter, ttl_sql
from thedata_cli.components.questdb.sql_text import identifier
from thedata_cli.plan.changes import Action, Recipe, Step
from thedata_cli.plan.resources import Difference, Resource

_IMMUTABLE = {
    "timestamp": "the designated timestamp",
    "partition_by": "the size of a partition",
    "wal": "WAL",
}

_NEW_SYMBOL = {"indexed": False, "symbol_cache": True, "symbol_capacity": DEFAULT_SYMBOL_CAPACITY}


class TableKind:
    """Tables."""

    component = "questdb"
    name = "table"

    def to_create(self, desired: Resource) -> Recipe:
        """Create it and write down whose it is."""
        return Recipe(Action.CREATE, _creation(desired, _create_table(desired)))

    def to_update(self, observed: Resource, desired: Resource, differences: Sequence[Difference]) -> Recipe:
        """Change it in place where the server can."""
        changed = {difference.path.split(".")[0] for difference in differences}
        fixed = [words for key, words in _IMMUTABLE.items() if key in changed]
        before, after = _columns(observed), _columns(desired)
        timestamp = str(desired.spec["timestamp"])
        if timestamp in before and before[timestamp]["type"] != after[timestamp]["type"]:
            fixed.append("the type of the designated timestamp")
        if fixed:
            recipe = self.to_replace(observed, desired)
            return Recipe(recipe.action, recipe.steps, recipe.loses, f"{', '.join(fixed)} cannot be changed in place")
        steps = [Step(f"ALTER TABLE {identifier(desired.id.name)} {change}") for change in _changes(observed, desired)]
        if _invalidates_views(before, after):
            views = observed.spec.get("views") or ()
            assert isinstance(views, Sequence)
            steps += [Step(f"REFRESH MATERIALIZED VIEW {identifier(str(view))} FULL") for view in views]
        if observed.managed_by != desired.managed_by or not differences:
            steps += [CREATE_LEDGER, claim(desired.id, desired.managed_by)]
        return Recipe(Action.UPDATE, tuple(steps), _losses(observed, desired))

    def to_replace(self, observed: Resource, desired: Resource) -> Recipe:
        """Drop it and create it anew."""
        steps = _creation(desired, _drop_table(observed), _create_table(desired))
        return Recipe(Action.REPLACE, steps, _all_rows(observed))

    def to_delete(self, observed: Resource) -> Recipe:
        """Drop it."""
        return Recipe(Action.DELETE, (_drop_table(observed), release(observed.id)), _all_rows(observed))


class MaterializedViewKind:
    """Materialized views; their rows come from the base: replacing one loses only what the base no longer has."""

    component = "questdb"
    name = "materialized_view"

    def to_create(self, desired: Resource) -> Recipe:
        """Create it and write down whose it is."""
        return Recipe(Action.CREATE, _creation(desired, _create_view(desired)))

    def to_update(self, observed: Resource, desired: Resource, differences: Sequence[Difference]) -> Recipe:
        """Change refresh and TTL in place; all else makes another view."""
        changed = {difference.path.split(".")[0] for difference in differences}
        if fixed := changed - {"refresh", "ttl", "status"}:
            recipe = self.to_replace(observed, desired)
            return Recipe(
                recipe.action, recipe.steps, recipe.loses, f"{', '.join(sorted(fixed))} cannot be changed in place"
            )
        alter = f"ALTER MATERIALIZED VIEW {identifier(desired.id.name)}"
        steps = []
        if "refresh" in changed:
            steps.append(Step(f"{alter} SET REFRESH {_refresh(desired)}"))
        if "ttl" in changed:
            ttl = ttl_sql(str(desired.spec["ttl"]), str(observed.spec["partition_by"]))
            steps.append(Step(f"{alter} SET TTL {ttl}"))
        if "status" in changed:
            steps.append(Step(f"REFRESH MATERIALIZED VIEW {identifier(desired.id.name)} FULL"))
        if observed.managed_by != desired.managed_by or not differences:
            steps += [CREATE_LEDGER, claim(desired.id, desired.managed_by)]
        return Recipe(Action.UPDATE, tuple(steps), _older_rows(observed, desired))

    def to_replace(self, observed: Resource, desired: Resource) -> Recipe:
        """Drop it and create it anew; the server fills it from the base."""
        steps = _creation(desired, _drop_view(observed), _create_view(desired))
        return Recipe(Action.REPLACE, steps, _not_in_base(observed))

    def to_delete(self, observed: Resource) -> Recipe:
        """Drop it."""
        return Recipe(Action.DELETE, (_drop_view(observed), release(observed.id)), _not_in_base(observed))


def _creation(desired: Resource, *statements: Step) -> tuple[Step, ...]:
    project = desired.managed_by
    return (CREATE_LEDGER, intent(desired.id, project), *statements, claim(desired.id, project))


def _columns(resource: Resource) -> Mapping[str, Mapping[str, Any]]:
    columns = resource.spec["columns"]
    assert isinstance(columns, Mapping)
    return columns  # type: ignore[return-value]


def _create_table(desired: Resource) -> Step:
    spec = desired.spec
    columns = ",\n  ".join(f"{identifier(name)} {_column_sql(column)}" for name, column in _columns(desired).items())
    sql = f"CREATE TABLE {identifier(desired.id.name)} (\n  {columns}\n)"
    if spec["timestamp"]:
        sql += f" TIMESTAMP({identifier(str(spec['timestamp']))}) PARTITION BY {str(spec['partition_by']).upper()}"
    if spec["ttl"]:
        sql += f" TTL {_ttl(desired)}"
    sql += " WAL" if spec["wal"] else " BYPASS WAL" if spec["timestamp"] else ""
    if spec["dedup_keys"]:
        sql += f" DEDUP UPSERT KEYS({_key_list(desired)})"
    return Step(sql)


def _column_sql(column: Mapping[str, Any]) -> str:
    sql = str(column["type"])
    if sql != "SYMBOL":
        return sql
    if column["symbol_capacity"] != DEFAULT_SYMBOL_CAPACITY:
        sql += f" CAPACITY {column['symbol_capacity']}"
    if not column["symbol_cache"]:
        sql += " NOCACHE"
    if column["indexed"]:
        sql += " INDEX"
    return sql


def _create_view(desired: Resource) -> Step:
    spec = desired.spec
    sql = (
        f"CREATE MATERIALIZED VIEW {identifier(desired.id.name)} WITH BASE {identifier(str(spec['base']))} "
        f"REFRESH {_refresh(desired)} AS (\n{spec['query']}\n)"
    )
    if partition_by := spec.get("partition_by"):
        sql += f" PARTITION BY {str(partition_by).upper()}"
    if spec["ttl"]:
        sql += f" TTL {_ttl(desired)}"
    return Step(sql)


def _refresh(desired: Resource) -> str:
    """Write a refresh as SQL; case tells minutes from months, so that units stay as they are."""
    word, _, interval = str(desired.spec["refresh"]).partition(" ")
    return f"{word.upper()} {interval}".rstrip()


def _drop_table(observed: Resource) -> Step:
    return Step(f"DROP TABLE {identifier(observed.id.name)}")


def _drop_view(observed: Resource) -> Step:
    return Step(f"DROP MATERIALIZED VIEW {identifier(observed.id.name)}")


def _ttl(desired: Resource) -> str:
    return ttl_sql(str(desired.spec["ttl"]), str(desired.spec.get("partition_by", "")))


def _key_list(resource: Resource) -> str:
    keys = resource.spec["dedup_keys"]
    assert isinstance(keys, Sequence)
    return ", ".join(identifier(str(key)) for key in keys)


def _changes(observed: Resource, desired: Resource) -> Iterator[str]:
    """Yield what to append to ALTER TABLE, in an order in which each is possible."""
    before, after = _columns(observed), _columns(desired)
    for name in before:
        if name not in after or not _can_stay(before[name], after[name]):
            yield f"DROP COLUMN {identifier(name)}"
    for name, column in after.items():
        if name not in before or not _can_stay(before[name], column):
            yield f"ADD COLUMN {identifier(name)} {_column_sql(column)}"
        else:
            yield from _column_changes(name, before[name], column)
    if _dedup_differs(observed, desired):
        yield f"DEDUP ENABLE UPSERT KEYS({_key_list(desired)})" if desired.spec["dedup_keys"] else "DEDUP DISABLE"
    if observed.spec["ttl"] != desired.spec["ttl"]:
        yield f"SET TTL {_ttl(desired)}"


def _dedup_differs(observed: Resource, desired: Resource) -> bool:
    """Say whether the keys must be set: they differ, or one of their columns is made anew."""
    keys = desired.spec["dedup_keys"]
    before, after = _columns(observed), _columns(desired)
    assert isinstance(keys, Sequence)
    anew = [name for name in before if name in after and not _can_stay(before[name], after[name])]
    return observed.spec["dedup_keys"] != keys or any(name in keys for name in anew)


def _can_stay(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return before["type"] == after["type"] or converts(str(before["type"]), str(after["type"]))


def _column_changes(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield the changes of a column that stays."""
    alter = f"ALTER COLUMN {identifier(name)}"
    if before["type"] != after["type"]:
        if before.get("indexed"):
            yield f"{alter} DROP INDEX"
        yield f"{alter} TYPE {after['type']}"
        before = _NEW_SYMBOL
    if after["type"] != "SYMBOL":
        return
    if after["symbol_capacity"] != before["symbol_capacity"]:
        yield f"{alter} SYMBOL CAPACITY {after['symbol_capacity']}"
    if after["symbol_cache"] != before["symbol_cache"]:
        yield f"{alter} {'CACHE' if after['symbol_cache'] else 'NOCACHE'}"
    if after["indexed"] != before["indexed"]:
        yield f"{alter} {'ADD' if after['indexed'] else 'DROP'} INDEX"


def _invalidates_views(before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]) -> bool:
    """Say whether the server stops the views on this table: a column goes or changes type, whichever it is."""
    return any(name not in after or column["type"] != after[name]["type"] for name, column in before.items())


def _losses(observed: Resource, desired: Resource) -> str:
    if observed.spec.get("rows") == 0:
        return ""
    before, after = _columns(observed), _columns(desired)
    parts = [f"column {name}" for name in before if name not in after]
    for name, column in before.items():
        if name in after and column["type"] != after[name]["type"]:
            was, becomes = str(column["type"]), str(after[name]["type"])
            if not converts(was, becomes):
                parts.append(f"all values of {name}, as {was} does not convert to {becomes}")
            elif not keeps_values(was, becomes):
                parts.append(f"values of {name} that do not fit {becomes}")
    if older := _older_rows(observed, desired):
        parts.append(older)
    return ", ".join(parts)


def _older_rows(observed: Resource, desired: Resource) -> str:
    ttl = str(desired.spec["ttl"])
    return f"rows older than {ttl}" if is_shorter(ttl, str(observed.spec["ttl"])) else ""


def _all_rows(observed: Resource) -> str:
    rows = observed.spec.get("rows")
    if rows == 0:
        return ""
    return f"all rows ({rows:,})" if isinstance(rows, int) else "all rows"


def _not_in_base(observed: Resource) -> str:
    ttl = observed.spec.get("base_ttl")
    return f"rows older than {ttl}, which {observed.spec['base']} no longer has" if ttl else ""
