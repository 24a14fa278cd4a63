"""ALTER and COMMENT."""

from __future__ import annotations

import json

from thedata_cli.components.materialize.emulator import normal_form
from thedata_cli.components.materialize.emulator.catalog import RELATIONS, SYSTEM_SCHEMAS, CatalogObject
from thedata_cli.components.materialize.emulator.definitions import Creation
from thedata_cli.components.materialize.emulator.errors import (
    DUPLICATE_OBJECT,
    UNDEFINED_COLUMN,
    UNDEFINED_OBJECT,
    EmulatorError,
    not_supported,
)
from thedata_cli.components.materialize.emulator.options import cluster_options
from thedata_cli.components.materialize.emulator.removal import drop_object
from thedata_cli.components.materialize.emulator.statements import (
    MATERIALIZED_VIEW,
    AlterCluster,
    AlterSecret,
    ApplyReplacement,
    Comment,
    Name,
    Rename,
    SetRetention,
    Swap,
)
from thedata_cli.components.materialize.emulator.tokens import quote_name


async def rename(change: Creation, statement: Rename) -> None:
    """ALTER … RENAME TO."""
    name, new = statement.name, statement.new_name
    if statement.kind == "cluster":
        cluster = change.catalog.cluster(name, "")
        if new in change.catalog.clusters:
            raise EmulatorError(DUPLICATE_OBJECT, f"cluster '{new}' already exists", position=name.position)
        await change.run("UPDATE mz_emulator.clusters SET name = %s WHERE id = %s", [new, cluster.id])
    elif statement.kind == "schema":
        _check_schema(change, name)
        if new in change.catalog.schemas:
            raise EmulatorError("42P06", f"schema '{new}' already exists", position=name.position)
        await _rename_schema(change, name.last, new)
    else:
        await _rename_object(change, statement)
    await _print_again(change)


async def _rename_object(change: Creation, statement: Rename) -> None:
    found = change.catalog.find(statement.name, change.variables.schemas)
    if found is None and statement.if_exists:
        change.notices.append(f'"{statement.name.last}" does not exist, skipping')
        return
    one = change.catalog.get(statement.name, change.variables.schemas, statement.kind)
    if change.catalog.find(Name((one.schema_name, statement.new_name), 0), ()):
        message = f"catalog item '{statement.new_name}' already exists"
        raise EmulatorError(DUPLICATE_OBJECT, message, position=statement.name.position)
    if one.relation is not None:
        kind = "TABLE" if one.kind == "table" and not one.is_webhook else "VIEW"
        await change.run(f"ALTER {kind} {one.qualified} RENAME TO {quote_name(statement.new_name)}")
    await change.run("UPDATE mz_emulator.objects SET name = %s WHERE id = %s", [statement.new_name, one.id])


def _check_schema(change: Creation, name: Name) -> None:
    if name.last not in change.catalog.schemas:
        raise EmulatorError(UNDEFINED_OBJECT, f"unknown schema '{name.last}'", position=name.position)
    if name.last in SYSTEM_SCHEMAS:
        raise EmulatorError("42501", f"system schema '{name.last}' cannot be modified", position=name.position)


async def _rename_schema(change: Creation, old: str, new: str) -> None:
    await change.run(f"ALTER SCHEMA {quote_name(old)} RENAME TO {quote_name(new)}")
    await change.run("UPDATE mz_emulator.objects SET schema_name = %s WHERE schema_name = %s", [new, old])


async def swap(change: Creation, statement: Swap) -> None:
    """ALTER SCHEMA | CLUSTER … SWAP WITH."""
    first, second = statement.name.last, statement.other.last
    if statement.kind == "cluster":
        one, other = change.catalog.cluster(statement.name, ""), change.catalog.cluster(statement.other, "")
        for cluster_id, name in ((one.id, "mz_swapping"), (other.id, first), (one.id, second)):
            await change.run("UPDATE mz_emulator.clusters SET name = %s WHERE id = %s", [name, cluster_id])
    else:
        for each in (statement.name, statement.other):
            _check_schema(change, each)
        for old, new in ((first, "mz_swapping"), (second, first), ("mz_swapping", second)):
            await _rename_schema(change, old, new)
    await _print_again(change)


async def _print_again(change: Creation) -> None:
    """Write every definition anew, since any of them may show a name that changed."""
    change.renames = True
    await change.catalog.load(change.connection)
    for one in change.catalog.objects.values():
        text = await _printed(change, one)
        if text is not None and text != one.create_sql:
            await change.run("UPDATE mz_emulator.objects SET create_sql = %s WHERE id = %s", [text, one.id])


async def _printed(change: Creation, one: CatalogObject) -> str | None:
    cluster = change.catalog.cluster_name(one.cluster_id)
    if one.is_temporary:
        return None
    if one.kind in ("view", MATERIALIZED_VIEW):
        target = one.stored_as("_def") if one.kind == MATERIALIZED_VIEW else one.qualified
        query = await normal_form.printed_query(change.connection, target, change.catalog)
        await change.run(
            "UPDATE mz_emulator.objects SET definition = definition || jsonb_build_object('query', %s::text) "
            "WHERE id = %s",
            [query, one.id],
        )
        not_null = tuple(one.definition.get("not_null", ()))
        return normal_form.view_text(
            one.kind, one.schema_name, one.name, query, cluster, normal_form.retention(one.retain_ms), not_null
        )
    if one.is_webhook:
        return normal_form.webhook_text(one.kind, one.schema_name, one.name, one.definition, cluster, change.catalog)
    if one.kind == "index" and one.on_id:
        return normal_form.index_text(one, change.catalog.objects[one.on_id], one.definition["keys"], cluster)
    head = f"CREATE {one.kind.upper()} {normal_form.full_name(one.schema_name, one.name)}"
    rest = one.create_sql.split(" AS " if one.kind == "secret" else " (", 1)[1]
    return f"{head} AS {rest}" if one.kind == "secret" else f"{head} ({rest}"


async def alter_cluster(change: Creation, statement: AlterCluster) -> None:
    """ALTER CLUSTER … SET | RESET."""
    if statement.if_exists and statement.name.last not in change.catalog.clusters:
        return
    cluster = change.catalog.cluster(statement.name, "")
    size, factor = cluster_options(statement.options, statement.name.position)
    await change.run(
        "UPDATE mz_emulator.clusters SET size = coalesce(%s, size), replication_factor = coalesce(%s, "
        "replication_factor) WHERE id = %s",
        [size or None, factor, cluster.id],
    )


async def alter_secret(change: Creation, statement: AlterSecret) -> None:
    """ALTER SECRET … AS."""
    if statement.if_exists and change.catalog.find(statement.name, change.variables.schemas) is None:
        return
    secret = change.catalog.get(statement.name, change.variables.schemas, "secret")
    await change.set_secret(secret.id, statement.value)


async def set_retention(change: Creation, statement: SetRetention) -> None:
    """ALTER … SET | RESET (RETAIN HISTORY)."""
    if statement.if_exists and change.catalog.find(statement.name, change.variables.schemas) is None:
        return
    one = change.catalog.get(statement.name, change.variables.schemas, statement.kind)
    await change.run("UPDATE mz_emulator.objects SET retain_ms = %s WHERE id = %s", [statement.retain_ms, one.id])
    await _print_again(change)


async def comment(change: Creation, statement: Comment) -> None:
    """COMMENT ON."""
    object_id, object_type, number = _commented(change, statement)
    await change.run(
        "DELETE FROM mz_emulator.comments WHERE object_type = %s AND id = %s AND object_sub_id IS NOT DISTINCT FROM %s",
        [object_type, object_id, number],
    )
    if statement.text is not None:
        await change.run(
            "INSERT INTO mz_emulator.comments VALUES (%s, %s, %s, %s)", [object_id, object_type, number, statement.text]
        )


def _commented(change: Creation, statement: Comment) -> tuple[str, str, int | None]:
    if statement.kind == "cluster":
        return change.catalog.cluster(statement.name, "").id, "cluster", None
    if statement.kind in ("schema", "database", "role"):
        raise not_supported(f"COMMENT ON {statement.kind.upper()}", statement.name.position)
    if statement.kind != "relation":
        one = change.catalog.get(statement.name, change.variables.schemas, statement.kind)
        return one.id, one.kind, None
    one = change.catalog.get(statement.name, change.variables.schemas, *RELATIONS)
    if statement.column not in one.columns:
        message = f'column "{one.full_name}.{statement.column}" does not exist'
        raise EmulatorError(UNDEFINED_COLUMN, message, position=statement.name.position)
    return one.id, one.kind, one.columns.index(statement.column) + 1


async def apply_replacement(change: Creation, statement: ApplyReplacement) -> None:
    """ALTER MATERIALIZED VIEW … APPLY REPLACEMENT: the new definition under the old id."""
    old = change.catalog.get(statement.name, change.variables.schemas, MATERIALIZED_VIEW)
    new = change.catalog.get(statement.replacement, change.variables.schemas, MATERIALIZED_VIEW)
    if new.definition.get("replaces") != old.id:
        message = f"{new.full_name} is not a replacement for {old.full_name}"
        raise EmulatorError("42809", message, position=statement.replacement.position)
    if old.columns != new.columns:
        message = f"the columns of {new.full_name} are not those of {old.full_name}"
        raise EmulatorError("42809", message, position=statement.replacement.position)
    row = await change.run("SELECT pg_get_viewdef(%s::regclass)", [new.stored_as("_def")])
    await change.run(f"CREATE OR REPLACE VIEW {old.stored_as('_def')} AS {row[0]}")
    details = {key: value for key, value in new.definition.items() if key != "replaces"}
    await change.run("UPDATE mz_emulator.objects SET definition = %s WHERE id = %s", [json.dumps(details), old.id])
    await change.run("DELETE FROM mz_emulator.references WHERE id = %s", [old.id])
    await change.run(
        "INSERT INTO mz_emulator.references SELECT %s, on_id FROM mz_emulator.references WHERE id = %s",
        [old.id, new.id],
    )
    await drop_object(change, new)
    change.recompute.add(old.id)
    await _print_again(change)
