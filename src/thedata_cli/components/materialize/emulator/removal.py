"""DROP."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg

from thedata_cli.components.materialize.emulator.catalog import SYSTEM_SCHEMAS, CatalogObject
from thedata_cli.components.materialize.emulator.errors import (
    DEPENDENT_OBJECTS,
    UNDEFINED_OBJECT,
    WRONG_OBJECT_TYPE,
    EmulatorError,
)
from thedata_cli.components.materialize.emulator.statements import MATERIALIZED_VIEW, Drop, Name
from thedata_cli.components.materialize.emulator.tokens import quote_name

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from thedata_cli.components.materialize.emulator.definitions import Creation


async def drop(change: Creation, statement: Drop) -> None:
    """Run a DROP.

    Raises:
        EmulatorError: An object is unknown or of another kind, or others depend on it and CASCADE is not given.
    """
    for name in statement.names:
        if statement.kind == "schema":
            await _drop_schema(change, statement, name)
        elif statement.kind == "cluster":
            await _drop_cluster(change, statement, name)
        elif statement.kind != "role":
            await _drop_named(change, statement, name)


async def _drop_named(change: Creation, statement: Drop, name: Name) -> None:
    found = change.catalog.find(name, change.variables.schemas)
    if found is None:
        _missing(change, statement, name, "catalog item")
        return
    if found.kind != statement.kind:
        message = (
            f"{found.full_name} is not {'an' if statement.kind[0] in 'aeiou' else 'a'} "
            f"{statement.kind.replace('-', ' ')}"
        )
        raise EmulatorError(
            WRONG_OBJECT_TYPE, message, hint=f"it is a {found.kind.replace('-', ' ')}", position=name.position
        )
    await _drop_with_users(change, statement, [found], f'{found.kind.replace("-", " ")} "{found.name}"', name)


def _missing(change: Creation, statement: Drop, name: Name, what: str) -> None:
    if not statement.if_exists:
        raise EmulatorError(UNDEFINED_OBJECT, f"unknown {what} '{'.'.join(name.parts)}'", position=name.position)
    change.notices.append(f'{statement.kind.replace("-", " ")} "{".".join(name.parts)}" does not exist, skipping')


async def _drop_with_users(
    change: Creation, statement: Drop, objects: list[CatalogObject], what: str, name: Name
) -> None:
    going = {one.id: one for one in objects}
    users = {one.id: one for root in objects for one in change.catalog.all_users_of(root.id) if one.id not in going}
    in_the_way = [one for one in users.values() if one.kind != "index" and not one.is_temporary]
    if in_the_way and not statement.cascade:
        names = ", ".join(f'{one.kind.replace("-", " ")} "{one.full_name}"' for one in in_the_way)
        message = f"cannot drop {what}: still depended upon by {names}"
        raise EmulatorError(
            DEPENDENT_OBJECTS, message, hint="use DROP … CASCADE to drop them too", position=name.position
        )
    everything = list(going.values()) + list(users.values())
    for one in sorted(everything, key=lambda each: _depth(change, each), reverse=True):
        await drop_object(change, one)


def _depth(change: Creation, one: CatalogObject) -> int:
    below = [*one.references, *([one.on_id] if one.on_id else [])]
    return 1 + max(
        (_depth(change, change.catalog.objects[each]) for each in below if each in change.catalog.objects), default=0
    )


async def drop_object(change: Creation, one: CatalogObject) -> None:
    """Remove one object that nobody needs any more, with all that is kept for it."""
    for sql in _removals(one):
        await change.run(sql)
    await change.run("DELETE FROM mz_emulator.objects WHERE id = %s", [one.id])
    await change.run("DELETE FROM mz_emulator.comments WHERE object_type <> 'cluster' AND id = %s", [one.id])


def _removals(one: CatalogObject) -> list[str]:
    # Rows, logs and their indexes stay until no subscription reads them any more: see `remove_orphans`.
    if one.kind in ("secret", "index"):
        return []
    if one.kind == "view":
        return [f"DROP VIEW {one.qualified}"]
    if one.is_webhook:
        return [f"DROP VIEW {one.qualified}", f"DROP FUNCTION IF EXISTS {one.stored_as('_check')}"]
    if one.kind == MATERIALIZED_VIEW:
        public = [] if one.is_temporary else [f"DROP VIEW {one.qualified}"]
        return [*public, f"DROP VIEW {one.stored_as('_def')}"]
    return [f"DROP TABLE {one.qualified}"]


async def _drop_schema(change: Creation, statement: Drop, name: Name) -> None:
    if name.last not in change.catalog.schemas:
        _missing(change, statement, name, "schema")
        return
    if name.last in SYSTEM_SCHEMAS:
        raise EmulatorError("42501", f"system schema '{name.last}' cannot be modified", position=name.position)
    objects = [one for one in change.catalog.objects.values() if one.schema_name == name.last and not one.is_temporary]
    if objects and not statement.cascade:
        message = f"schema '{name.last}' cannot be dropped without CASCADE while it contains objects"
        raise EmulatorError(DEPENDENT_OBJECTS, message, position=name.position)
    await _drop_with_users(change, statement, objects, f'schema "{name.last}"', name)
    await change.run(f"DROP SCHEMA {quote_name(name.last)}")


async def _drop_cluster(change: Creation, statement: Drop, name: Name) -> None:
    cluster = change.catalog.clusters.get(name.last)
    if cluster is None:
        _missing(change, statement, name, "cluster")
        return
    if cluster.id.startswith("s"):
        raise EmulatorError("42501", f"system cluster '{name.last}' cannot be modified", position=name.position)
    objects = [one for one in change.catalog.objects.values() if one.cluster_id == cluster.id]
    if objects and not statement.cascade:
        message = f"cannot drop cluster with active objects: {', '.join(one.full_name for one in objects)}"
        raise EmulatorError(
            DEPENDENT_OBJECTS, message, hint="use DROP … CASCADE to drop them too", position=name.position
        )
    await _drop_with_users(change, statement, objects, f'cluster "{name.last}"', name)
    await change.run("DELETE FROM mz_emulator.clusters WHERE id = %s", [cluster.id])
    await change.run("DELETE FROM mz_emulator.comments WHERE object_type = 'cluster' AND id = %s", [cluster.id])


async def remove_orphans(connection: AsyncConnection[Any], known: set[str]) -> None:
    """Drop the rows, logs and indexes of objects that are gone, unless a subscription still has them open."""
    for kind, schema, name in await (await connection.execute(_STORED)).fetchall():
        if name.partition("_")[0] not in known:
            with contextlib.suppress(psycopg.Error):
                async with connection.transaction():
                    await connection.execute("SET LOCAL lock_timeout = 1")
                    await connection.execute(f"DROP {kind} {quote_name(schema)}.{quote_name(name)}".encode())


_STORED = (
    "SELECT CASE r.relkind WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END, s.nspname::text, r.relname::text FROM pg_class r "
    "JOIN pg_namespace s ON s.oid = r.relnamespace WHERE (r.relkind = 'i' AND r.relname ~ '^u[0-9]+_index$') OR "
    "(s.nspname = 'mz_emulator' AND r.relkind = 'r' AND r.relname ~ "
    "'^u[0-9]+(_log|_pending|_state|_rows|_temporal[0-9]+(_log|_waiting)?)?$')"
)
