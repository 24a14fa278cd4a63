"""The SQL of a table and of a view, from their specs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from thedata_cli.components.clickhouse.sql import literal, literal_of, quoted
from thedata_cli.plan.resources import Resource, Spec

_MARK = re.compile(r"(?:(?P<comment>.*) )?\[thedata:(?P<project>[A-Za-z0-9_-]+)\]", re.DOTALL)


def marked(comment: str, project: str) -> str:
    """Return a comment that says which project made the object, after the user's own words.

    Example:
        >>> marked("Every departure", "flights")
        'Every departure [thedata:flights]'
    """
    return f"{comment} [thedata:{project}]" if comment else f"[thedata:{project}]"


def read_mark(comment: str) -> tuple[str, str]:
    """Split a comment into the user's own words and the project that made the object (empty when none did).

    Example:
        >>> read_mark("Every departure [thedata:flights]"), read_mark("By hand")
        (('Every departure', 'flights'), ('By hand', ''))
    """
    match = _MARK.fullmatch(comment)
    return (match["comment"] or "", match["project"]) if match else (comment, "")


def full_name(resource: Resource) -> str:
    """Return the name of a table or view with its database."""
    return f"{quoted(str(resource.spec['database']))}.{quoted(resource.id.name)}"


def column_definition(name: str, column: Mapping[str, Any]) -> str:
    """Return one column as it stands in CREATE TABLE and ALTER TABLE."""
    comment = f"COMMENT {literal(column['comment'])}" if column["comment"] else ""
    parts = [quoted(name), column["type"], column["default"], comment, column["codec"]]
    return " ".join(part for part in parts if part)


def table_body(spec: Spec) -> str:
    """Return columns, engine and all other clauses of a table but its comment."""
    columns: Mapping[str, Any] = spec["columns"]  # type: ignore[assignment]
    order: list[str] = spec["column_order"]  # type: ignore[assignment]
    settings: Mapping[str, str] = spec["settings"]  # type: ignore[assignment]
    lines = ["(", ",\n".join(f"    {column_definition(name, columns[name])}" for name in order), ")"]
    lines.append(f"ENGINE = {spec['engine']}")
    for key, clause in (("partition_by", "PARTITION BY"), ("primary_key", "PRIMARY KEY"), ("order_by", "ORDER BY")):
        if spec[key] and not (key == "primary_key" and spec[key] == spec["order_by"]):
            lines.append(f"{clause} {spec[key]}")
    if spec["ttl"]:
        lines.append(f"TTL {spec['ttl']}")
    if settings:
        lines.append(f"SETTINGS {assignments(settings)}")
    return "\n".join(lines)


def assignments(settings: Mapping[str, str]) -> str:
    """Return settings as SQL, in the order of their names.

    Example:
        >>> assignments({"storage_policy": "hot", "index_granularity": "8192"})
        "index_granularity = 8192, storage_policy = 'hot'"
    """
    return ", ".join(f"{name} = {literal_of(settings[name])}" for name in sorted(settings))


def create_table(resource: Resource) -> str:
    """Return the statement that creates a table, its mark included."""
    comment = literal(marked(str(resource.spec["comment"]), resource.managed_by))
    return f"CREATE TABLE {full_name(resource)}\n{table_body(resource.spec)}\nCOMMENT {comment}"


def create_view(resource: Resource, *, or_replace: bool = False) -> str:
    """Return the statement that creates a view, its mark included."""
    comment = literal(marked(str(resource.spec["comment"]), resource.managed_by))
    verb = "CREATE OR REPLACE VIEW" if or_replace else "CREATE VIEW"
    return f"{verb} {full_name(resource)}\nCOMMENT {comment}\nAS {resource.spec['query']}"


def create_database(resource: Resource) -> str:
    """Return the statement that creates a database, its mark included."""
    return f"CREATE DATABASE {quoted(resource.id.name)} COMMENT {literal(marked('', resource.managed_by))}"
