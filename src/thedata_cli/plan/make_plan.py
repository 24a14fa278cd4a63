"""The decision: declared and observed resources in, an ordered plan out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import TopologicalSorter

from thedata_cli.plan.changes import Action, Change, Conflict, Plan, Recipe, ResourceKind
from thedata_cli.plan.resources import Difference, Resource, ResourceId, differences


def make_plan(
    *,
    project: str,
    desired: Iterable[Resource],
    observed: Iterable[Resource],
    kinds: Iterable[ResourceKind],
    adopt: Collection[ResourceId] = (),
) -> Plan:
    """Decide what turns the observed resources into the desired ones.

    Deletions come first, dependants before what they depend on, because a stream that goes may hold the subjects
    of one that comes; then creations and updates, dependencies first. A run that is cut off at any point is continued
    by the next plan: what must begin anew is deleted before that with which it begins is there.

    Args:
        project: Name of the project; only what it created is changed or deleted.
        desired: Every declared resource, in the form the server gives back.
        observed: Every live resource of the same components, foreign ones included.
        kinds: One for every kind that occurs in `desired` or among the project's own in `observed`.
        adopt: Foreign resources that this plan takes over.
    """
    wanted = {resource.id: resource for resource in desired}
    live = {resource.id: resource for resource in observed}
    kind_of = {(kind.component, kind.name): kind for kind in kinds}

    gone = [resource for resource in live.values() if resource.managed_by == project and resource.id not in wanted]
    deletions = _deletions(gone, kind_of)
    changes: list[Change] = []
    conflicts: list[Conflict] = []
    replaced: set[ResourceId] = set()
    created: set[ResourceId] = set()
    for resource in _dependencies_first(wanted.values()):
        current = live.get(resource.id)
        if current and current.managed_by != project and resource.id not in adopt:
            conflicts.append(Conflict(resource.id, current.managed_by, resource.position))
            continue
        kind = kind_of[resource.id.component, resource.id.kind]
        if current and resource.begins_with in created | replaced:
            cause = f"begins anew with {resource.begins_with}"
            deletions.append(_change(resource, replace(kind.to_delete(current), loses=""), cause))
            changes.append(_change(resource, kind.to_create(resource), cause))
            continue
        change = _change_of(resource, current, kind, project, replaced)
        if change:
            changes.append(change)
            if change.action is Action.REPLACE:
                replaced.add(resource.id)
            elif change.action is Action.CREATE:
                created.add(resource.id)
    return Plan((*deletions, *changes), tuple(conflicts))


def _change_of(
    desired: Resource, observed: Resource | None, kind: ResourceKind, project: str, replaced: Collection[ResourceId]
) -> Change | None:
    """Decide about one declared resource; `replaced` are those replaced before it in this plan."""
    if observed is None:
        return _change(desired, kind.to_create(desired), "declared, not found")
    if desired.inside in replaced:
        return _change(desired, kind.to_create(desired), f"goes away with {desired.inside}, which is replaced")
    found = differences(observed.spec, desired.spec)
    rebuilt = [str(name) for name in desired.depends_on if name in replaced]
    if desired.is_rebuilt_with_dependencies and rebuilt:
        recipe = kind.to_replace(observed, desired)
        return _change(desired, recipe, f"{', '.join(rebuilt)} is replaced", found)
    if observed.managed_by != project:
        return _change(desired, kind.to_update(observed, desired, found), "taken over", found)
    if not found:
        return None
    return _change(desired, kind.to_update(observed, desired, found), _why(found), found)


def _change(desired: Resource, recipe: Recipe, cause: str, found: Sequence[Difference] = ()) -> Change:
    full_cause = f"{cause}; {recipe.cause}" if recipe.cause else cause
    return Change(recipe.action, desired.id, full_cause, recipe.steps, tuple(found), recipe.loses, desired.position)


def _why(found: Sequence[Difference]) -> str:
    paths = [difference.path for difference in found]
    return f"{', '.join(paths)} differ{'s' if len(paths) == 1 else ''}"


def _deletions(gone: Sequence[Resource], kind_of: Mapping[tuple[str, str], ResourceKind]) -> list[Change]:
    """Delete dependants first; what lives inside a resource that goes needs no call of its own."""
    names = {resource.id for resource in gone}
    changes = []
    for resource in reversed(_dependencies_first(gone)):
        if resource.inside in names:
            continue
        recipe = kind_of[resource.id.component, resource.id.kind].to_delete(resource)
        cause = "no longer declared" + (f"; {recipe.cause}" if recipe.cause else "")
        changes.append(Change(recipe.action, resource.id, cause, recipe.steps, (), recipe.loses))
    return changes


def _dependencies_first(resources: Iterable[Resource]) -> list[Resource]:
    """Order resources so that dependencies come first; ties by name, so that the same input gives the same plan."""
    by_id = {resource.id: resource for resource in resources}
    sorter: TopologicalSorter[ResourceId] = TopologicalSorter()
    for resource in sorted(by_id.values(), key=lambda resource: resource.id):
        before = {*resource.depends_on, *(one for one in (resource.inside, resource.begins_with) if one)}
        sorter.add(resource.id, *sorted(before & by_id.keys()))
    sorter.prepare()
    ordered: list[Resource] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered.extend(by_id[name] for name in ready)
        sorter.done(*ready)
    return ordered
