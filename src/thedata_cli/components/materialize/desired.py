"""From the SQL files of a project to its Materialize resources, and the mistakes that show without a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.declarations import AnyDeclared
from thedata_cli.components.materialize.kinds import COMPONENT
from thedata_cli.components.materialize.objects import CLUSTER, INDEX, SECRET, SOURCE, TABLE, MaterializeObject
from thedata_cli.errors import Problem
from thedata_cli.plan.resources import Resource, ResourceId

Named = Mapping[tuple[bool, str], AnyDeclared]
"""Declarations by whether they are clusters, and name."""


def declaration_problems(project: ProjectView) -> Iterator[Problem]:
    """Yield names that are taken, unknown secrets, and objects that read each other in a circle."""
    named: dict[tuple[bool, str], AnyDeclared] = {}
    for declared in project.declared:
        first = named.setdefault((declared.model.is_cluster, declared.model.name), declared)
        if first is not declared:
            message = f"{declared.model.name!r} is declared twice; first in {first.source.position(('name',))}"
            yield declared.problem(("name",), message, "all but clusters share one set of names")
    yield from _secret_problems(named)
    circle = _circle(named)
    if circle:
        first = named[circle[0]]
        names = " reads ".join(name for _, name in circle)
        yield first.problem((f"references.{circle[1][1]}",), f"objects read each other in a circle: {names}")


def _secret_problems(named: Named) -> Iterator[Problem]:
    """Yield what a CHECK names as a secret that is none."""
    for declared in named.values():
        if declared.model.kind not in (SOURCE, TABLE):
            continue
        for name in [reference.name for reference in declared.model.references if not reference.is_cluster]:
            found = named.get((False, name))
            if found is None or found.model.kind != SECRET:
                what = f"{name!r} is a {found.model.kind.replace('_', ' ')}, no secret" if found else ""
                expected = f"declare it in a file of views/: CREATE SECRET {name} AS :'{name}'"
                yield declared.problem((f"references.{name}",), what or f"unknown secret {name!r}", expected)


def desired_resources(project: ProjectView) -> Sequence[Resource]:
    """Return one resource for each file."""
    named = {(declared.model.is_cluster, declared.model.name): declared for declared in project.declared}
    return [_resource(declared, named, project.name) for declared in project.declared]


def _resource(declared: AnyDeclared, named: Named, project: str) -> Resource:
    model: MaterializeObject = declared.model
    depends_on = [_id(named[key].model) for key in _references(model, named)]
    on = next((one for one in depends_on if one.kind != CLUSTER), None)
    places = {path: declared.source.position((path,)) for path in model.offsets if path}
    return Resource(
        _id(model),
        {"value": ""} if model.kind == SECRET else {"definition": model.statement},
        depends_on=tuple(sorted(depends_on)),
        inside=on if model.kind == INDEX else None,
        is_rebuilt_with_dependencies=not model.is_cluster,
        position=declared.position,
        managed_by=project,
        statement=model.statement,
        positions=places,
    )


def _id(model: MaterializeObject) -> ResourceId:
    return ResourceId(COMPONENT, model.kind, model.name)


def _references(model: MaterializeObject, named: Named) -> list[tuple[bool, str]]:
    """Return what it names that the project declares, itself left out: the server says what is wrong about that."""
    own = (model.is_cluster, model.name)
    keys = [(reference.is_cluster, reference.name) for reference in model.references]
    return [key for key in keys if key in named and key != own]


def _circle(named: Named) -> list[tuple[bool, str]]:
    """Return objects of which each reads the next, the first one again at the end; nothing when there are none."""
    sorter = TopologicalSorter({key: _references(declared.model, named) for key, declared in named.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        # The standard library lists each before what needs it.
        return list(reversed(error.args[1]))
    return []
