"""The objects that a server has, as resources; and declared ones as the server would give them back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path

from thedata_cli.components.materialize.connection import Connection
from thedata_cli.components.materialize.kinds import COMPONENT, read_mark
from thedata_cli.components.materialize.objects import CLUSTER, DATABASE, INDEX, SCHEMA, SECRET, definition_digest
from thedata_cli.errors import InvalidProjectError, Problem, SourcePosition
from thedata_cli.plan.resources import JsonValue, Resource, ResourceId

_OBJECTS = f"""
SELECT o.id, o.type, o.name, coalesce(d.create_sql, ''), o.cluster_id, i.on_id, coalesce(c.comment, '')
FROM mz_catalog.mz_objects o
JOIN mz_catalog.mz_schemas s ON s.id = o.schema_id AND s.name = '{SCHEMA}'
JOIN mz_catalog.mz_databases b ON b.id = s.database_id AND b.name = '{DATABASE}'
LEFT JOIN (
    SELECT id, create_sql FROM mz_catalog.mz_sources UNION ALL SELECT id, create_sql FROM mz_catalog.mz_tables
    UNION ALL SELECT id, create_sql FROM mz_catalog.mz_views
    UNION ALL SELECT id, create_sql FROM mz_catalog.mz_materialized_views
    UNION ALL SELECT id, create_sql FROM mz_catalog.mz_indexes
) d ON d.id = o.id
LEFT JOIN mz_catalog.mz_indexes i ON i.id = o.id
LEFT JOIN mz_internal.mz_comments c ON c.id = o.id AND c.object_type = o.type AND c.object_sub_id IS NULL
WHERE o.id LIKE 'u%' AND o.type IN ('secret', 'source', 'table', 'view', 'materialized-view', 'index')
"""
_CLUSTERS = """
SELECT k.id, k.name, k.size, k.replication_factor, coalesce(c.comment, '')
FROM mz_catalog.mz_clusters k
LEFT JOIN mz_internal.mz_comments c ON c.id = k.id AND c.object_type = 'cluster' AND c.object_sub_id IS NULL
WHERE k.id LIKE 'u%'
"""
_DEPENDENCIES = (
    "SELECT object_id, referenced_object_id FROM mz_internal.mz_object_dependencies WHERE object_id LIKE 'u%'"
)

Key = tuple[bool, str]
"""Whether it is a cluster, whose ids are a set of their own, and its id in the catalog."""


@dataclass(frozen=True)
class LiveObject:
    """One object of the catalog.

    Attributes:
        on: What an index is on.
        needs: What it cannot exist without.
    """

    key: Key
    id: ResourceId
    definition: str
    comment: str
    on: Key | None
    needs: frozenset[Key]


async def read_objects(connection: Connection, project: str) -> Sequence[Resource]:
    """Return every cluster, and every object of the schema whose objects can be declared, foreign ones included."""
    dependencies: dict[str, set[str]] = {}
    for user, used in await connection.rows(_DEPENDENCIES):
        dependencies.setdefault(user, set()).add(used)
    found = [*_clusters(await connection.rows(_CLUSTERS)), *_items(await connection.rows(_OBJECTS), dependencies)]
    return resources_of(found, project)


def _clusters(rows: Iterable[Sequence[object]]) -> Iterator[LiveObject]:
    for key, name, size, replicas, comment in rows:
        definition = f"CREATE CLUSTER {name} (SIZE = '{size}', REPLICATION FACTOR = {replicas})"
        resource = ResourceId(COMPONENT, CLUSTER, str(name))
        yield LiveObject((True, str(key)), resource, definition, str(comment), None, frozenset())


def _items(rows: Iterable[Sequence[object]], dependencies: Mapping[str, set[str]]) -> Iterator[LiveObject]:
    for key, type_name, name, definition, cluster, on, comment in rows:
        needs = {(False, used) for used in dependencies.get(str(key), ())}
        needs |= {(True, str(cluster))} if cluster else set()
        needs |= {(False, str(on))} if on else set()
        yield LiveObject(
            (False, str(key)),
            ResourceId(COMPONENT, str(type_name).replace("-", "_"), str(name)),
            str(definition),
            str(comment),
            (False, str(on)) if on else None,
            frozenset(needs),
        )


def resources_of(found: Sequence[LiveObject], project: str) -> Sequence[Resource]:
    """Return resources; each names those of the project's own that would have to go before it."""
    by_key = {one.key: one for one in found}
    sorter = TopologicalSorter({one.key: one.needs & by_key.keys() for one in found})
    users_first = list(sorter.static_order())[::-1]
    resources = []
    for one in found:
        owner, digest = read_mark(one.comment)
        needs = sorted(by_key[key].id for key in one.needs if key in by_key)
        spec: dict[str, JsonValue] = {
            "definition": one.definition,
            "digest": digest,
            "needs": [f"{need.kind} {need.name}" for need in needs],
            "dependents": [
                (user.id.kind, user.id.name)
                for user in _users(one.key, by_key, users_first)
                if read_mark(user.comment)[0] == project and not _goes_along(user, one)
            ],
        }
        if one.id.kind == SECRET:
            # The server shows no value, and the digest in the mark is that of the value.
            spec["value"] = digest
        inside = by_key[one.on].id if one.on in by_key else None
        resources.append(Resource(one.id, spec, depends_on=tuple(needs), inside=inside, managed_by=owner))
    return resources


def _goes_along(one: LiveObject, with_what: LiveObject) -> bool:
    """Whether the server drops it by itself: an index never keeps a relation from being dropped."""
    return one.id.kind == INDEX and with_what.id.kind != CLUSTER


def _users(key: Key, by_key: Mapping[Key, LiveObject], users_first: Sequence[Key]) -> list[LiveObject]:
    """Return what needs an object, directly or not, each before what it needs itself."""
    reached = {key}
    for other in reversed(users_first):
        if not by_key[other].needs.isdisjoint(reached):
            reached.add(other)
    return [by_key[other] for other in users_first if other in reached and other != key]


def as_live(desired: Sequence[Resource], observed: Sequence[Resource], project: str) -> Sequence[Resource]:
    """Return the declared resources with the server's spelling of those whose definition has not changed.

    Dependencies are the server's own where it knows the definition. An object that needs one that goes because another
    kind of object takes its name differs in what it needs, so that it is made anew.

    Raises:
        InvalidProjectError: Objects that have not changed need some that the project no longer declares.
    """
    live = {resource.id: resource for resource in observed}
    wanted = {resource.id for resource in desired}
    names = {_name(one) for one in wanted}
    going = {one.id for one in observed if one.managed_by == project and one.id not in wanted}
    problems: list[Problem] = []
    found = []
    for resource in desired:
        current = live.get(resource.id)
        is_secret = resource.id.kind == SECRET
        if is_secret or current is None or current.spec["digest"] != definition_digest(resource.statement):
            found.append(resource)
            continue
        lost = [one for one in current.depends_on if one in going]
        problems += [_lost_problem(resource, one) for one in lost if _name(one) not in names]
        needs = sorted({*resource.depends_on, *(one for one in current.depends_on if one in wanted)})
        spec: dict[str, JsonValue] = {"definition": current.spec["definition"]}
        if lost:
            spec["needs"] = [f"{need.kind} {need.name}" for need in needs]
        found.append(replace(resource, spec=spec, depends_on=tuple(needs)))
    if problems:
        raise InvalidProjectError(problems)
    return found


def _name(one: ResourceId) -> tuple[bool, str]:
    return one.kind == CLUSTER, one.name


def _lost_problem(resource: Resource, lost: ResourceId) -> Problem:
    position = resource.positions.get(f"references.{lost.name}") or resource.position or SourcePosition(Path("views"))
    kind, lost_kind = resource.id.kind.replace("_", " "), lost.kind.replace("_", " ")
    message = f"{kind} {resource.id.name} needs {lost_kind} {lost.name}, which the project no longer declares"
    return Problem(position, "", message, "declare it again, or change the statement")
