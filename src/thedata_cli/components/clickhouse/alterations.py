"""How a table gets from one spec to another in place: the statements, what they lose, and what they cannot do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thedata_cli.components.clickhouse.column_types import bare_type
from thedata_cli.components.clickhouse.sql import identifiers, literal, quoted, split_list, unquoted
from thedata_cli.components.clickhouse.statements import assignments, column_definition, full_name
from thedata_cli.components.clickhouse.type_changes import TypeChange, loses_nulls, type_change
from thedata_cli.plan.changes import Step
from thedata_cli.plan.resources import Resource

_Spec = Mapping[str, Any]

# Part of a table's files from its first row on, so that the server never changes them.
_FIXED_SETTINGS = frozenset(
    {"index_granularity", "index_granularity_bytes", "enable_mixed_granularity_parts", "storage_policy", "disk"}
)


def fixed(before: _Spec, after: _Spec) -> Iterator[str]:
    """Yield what differs and cannot be changed in place, in words."""
    for key, words in (("engine", "table_engine"), ("partition_by", "partition_by"), ("primary_key", "primary_key")):
        if before[key] != after[key]:
            yield words
    if before["order_by"] != after["order_by"] and not _added_keys(before, after):
        yield "order_by"
    if not before["order_by"] and any(before[key] != after[key] for key in ("columns", "column_order", "settings")):
        yield f"a table of engine {before['engine']}"
    old, new = before["settings"], after["settings"]
    yield from sorted(f"settings.{name}" for name in _FIXED_SETTINGS if old.get(name) != new.get(name))
    keys = identifiers(" , ".join(before[key] for key in ("order_by", "primary_key", "partition_by", "engine")))
    computed = identifiers(" , ".join(column["default"] for column in after["columns"].values()))
    for name in _changed_types(before, after):
        if name in keys:
            yield f"the type of column {name}, which a key uses,"
    for name in _remade(before, after):
        if name in computed:
            yield f"column {name}, from which others are computed,"


def table_steps(observed: Resource, desired: Resource) -> list[Step]:
    """Return the statements for columns, TTL and settings, in an order that the server takes."""
    before, after = observed.spec, desired.spec
    remade = _remade(before, after)
    between = _without(after, remade)
    checked = [name for name in _changed_types(before, between) if _is_checked(name, before, after)]
    steps = [_check(observed, name, after) for name in checked]
    is_ttl_off = _is_ttl_in_the_way(before, between)
    if is_ttl_off:
        steps.append(_alter(desired, ["REMOVE TTL"]))
    alterations = [*_column_commands(before, between)], [*_column_commands(between, after)]
    steps += [_alter(desired, commands) for commands in alterations if commands]
    if emptied := [f"MODIFY COLUMN {quoted(name)} REMOVE DEFAULT" for name in _null_traps(before, between)]:
        steps.append(_alter(desired, emptied))
    ttl_now = "" if is_ttl_off else before["ttl"]
    if ttl_now != after["ttl"]:
        steps.append(_alter(desired, [f"MODIFY TTL {after['ttl']}" if after["ttl"] else "REMOVE TTL"]))
    return steps + [_alter(desired, [command]) for command in _setting_commands(before, after)]


def lost_values(observed: Resource, desired: Resource) -> str:
    """Say what the statements lose: dropped columns, values that do not fit, rows past a new TTL."""
    before: _Spec = observed.spec["columns"]  # type: ignore[assignment]
    after: _Spec = desired.spec["columns"]  # type: ignore[assignment]
    remade = _remade(observed.spec, desired.spec)
    lost = [
        f"column {name}{rows_text(observed, ' of ')}"
        for name in before
        if (name not in after or name in remade) and _kind_of_default(before[name]) != "ALIAS"
    ]
    for name in _changed_types(observed.spec, _without(desired.spec, remade)):
        types = before[name]["type"], after[name]["type"]
        if type_change(*types) is not TypeChange.KEEPS:
            lost.append(f"values of {name} that do not fit {after[name]['type']}")
        if loses_nulls(*types):
            lost.append(f"NULLs of {name}")
    if _is_sooner(str(observed.spec["ttl"]), str(desired.spec["ttl"])):
        lost.append(f"rows past the new TTL {desired.spec['ttl']}")
    return ", ".join(lost)


def _is_sooner(before: str, after: str) -> bool:
    """Tell whether a TTL may delete rows that the one before kept: all do but the same one with a longer interval."""
    if not after or before == after:
        return False
    intervals = [re.split(r"(?<=toInterval)(\w+)\((\d+)\)", ttl) for ttl in (before, after)]
    if len(intervals[0]) != 4 or len(intervals[1]) != 4:
        return True
    (*old, old_length, old_end), (*new, new_length, new_end) = intervals
    return old != new or old_end != new_end or int(new_length) < int(old_length)


def rows_text(resource: Resource, before: str = "") -> str:
    """Return the number of rows in words, after `before`; empty when it is not known."""
    rows = resource.spec.get("rows")
    return f"{before}{rows:,} row{'s' if rows != 1 else ''}" if isinstance(rows, int) else ""


def _alter(resource: Resource, commands: Sequence[str]) -> Step:
    separator = "\n    " if len(commands) > 1 else " "
    return Step(f"ALTER TABLE {full_name(resource)}{separator}{f',{separator}'.join(commands)}")


def _kind_of_default(column: _Spec) -> str:
    return str(column["default"]).partition(" ")[0]


def _without(spec: _Spec, names: frozenset[str]) -> _Spec:
    columns = {name: column for name, column in spec["columns"].items() if name not in names}
    return {**spec, "columns": columns, "column_order": [name for name in spec["column_order"] if name in columns]}


def _changed_types(before: _Spec, after: _Spec) -> list[str]:
    old, new = before["columns"], after["columns"]
    return [name for name in old if name in new and old[name]["type"] != new[name]["type"]]


def _remade(before: _Spec, after: _Spec) -> frozenset[str]:
    """Return the columns that are dropped and added: without a cast, or stored on one side only."""
    old, new = before["columns"], after["columns"]
    stays = [name for name in old if name in new]
    return frozenset(
        name
        for name in stays
        if (_kind_of_default(old[name]) == "ALIAS") != (_kind_of_default(new[name]) == "ALIAS")
        or type_change(old[name]["type"], new[name]["type"]) is TypeChange.ANEW
    )


def _is_checked(name: str, before: _Spec, after: _Spec) -> bool:
    types = before["columns"][name]["type"], after["columns"][name]["type"]
    return before.get("rows") != 0 and type_change(*types) is TypeChange.CHECKED


def _check(observed: Resource, name: str, after: _Spec) -> Step:
    """Return the statement that fails when a value does not fit; the ALTER itself would fail when it is too late."""
    target = bare_type(after["columns"][name]["type"])
    bad = f"isNotNull({quoted(name)}) AND isNull(accurateCastOrNull({quoted(name)}, {literal(target)}))"
    message = literal(f"column {name} has values that are no {target}")
    return Step(f"SELECT throwIf(count() > 0, {message}) FROM {full_name(observed)} WHERE {bad}")


def _is_ttl_in_the_way(before: _Spec, between: _Spec) -> bool:
    """Tell whether the TTL uses a column that goes or changes its type; the server then refuses to touch it."""
    gone = before["columns"].keys() - between["columns"].keys()
    return not identifiers(before["ttl"]).isdisjoint({*gone, *_changed_types(before, between)})


def _null_traps(before: _Spec, after: _Spec) -> list[str]:
    """Return the columns that need a default for the time in which their NULLs go."""
    old, new = before["columns"], after["columns"]
    return [
        name
        for name in _changed_types(before, after)
        if loses_nulls(old[name]["type"], new[name]["type"]) and not new[name]["default"]
    ]


def _key_parts(key: str) -> list[str]:
    if key == "tuple()":
        return []
    return split_list(key[1:-1]) if key.startswith("(") else [key]


def _added_keys(before: _Spec, after: _Spec) -> list[str]:
    """Return what a sorting key gains, if it gains nothing but new columns without a default at its end."""
    old, new = _key_parts(before["order_by"]), _key_parts(after["order_by"])
    added = new[len(old) :]
    if new[: len(old)] != old or not old:
        return []
    added_columns = after["columns"].keys() - before["columns"].keys()
    fresh = {name for name in added_columns if not after["columns"][name]["default"]}
    return added if {unquoted(name) for name in added} <= fresh else []


def _column_commands(before: _Spec, after: _Spec) -> Iterator[str]:
    """Yield the commands from one list of columns to another; dropped ones go when nothing needs them any more."""
    old, new = before["columns"], after["columns"]
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
    if added := _added_keys(before, after):
        yield f"MODIFY ORDER BY ({', '.join([*_key_parts(before['order_by']), *added])})"
    gone = [name for name in old if name not in new]
    for name in sorted(gone, key=lambda name: not old[name]["default"]):
        yield f"DROP COLUMN {quoted(name)}"


def _one_column(name: str, old: _Spec, new: _Spec, place: str) -> Iterator[str]:
    """Yield the commands for a column that stays."""
    column = quoted(name)
    if old["default"] and not new["default"]:
        yield f"MODIFY COLUMN {column} REMOVE {_kind_of_default(old)}"
    if old["codec"] and not new["codec"]:
        yield f"MODIFY COLUMN {column} REMOVE CODEC"
    is_type_new = old["type"] != new["type"]
    default = new["default"] if old["default"] != new["default"] else ""
    if is_type_new and loses_nulls(old["type"], new["type"]):
        default = new["default"] or f"DEFAULT defaultValueOfTypeName({literal(new['type'])})"
    codec = new["codec"] if old["codec"] != new["codec"] else ""
    if is_type_new or default or codec or place:
        yield "MODIFY COLUMN " + " ".join(part for part in (column, new["type"], default, codec) if part) + place
    if old["comment"] != new["comment"]:
        yield f"COMMENT COLUMN {column} {literal(new['comment'])}"


def _setting_commands(before: _Spec, after: _Spec) -> Iterator[str]:
    old, new = before["settings"], after["settings"]
    if changed := {name: value for name, value in new.items() if old.get(name) != value}:
        yield f"MODIFY SETTING {assignments(changed)}"
    if gone := sorted(old.keys() - new.keys()):
        yield f"RESET SETTING {', '.join(gone)}"
