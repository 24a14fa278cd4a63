"""Which components there are: ours, and those of installed packages. Nothing is imported before a project names it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from thedata_cli.errors import MissingDependencyError, UsageError
from thedata_cli.project.suggestions import suggest

if TYPE_CHECKING:
    from thedata_cli.component_api.component import Component

ENTRY_POINT_GROUP = "thedata.components"
WORKER = "worker"
"""Runs the pipelines; in every stack whose project has one."""

_OURS = {
    "nats": "thedata_cli.components.nats.component:NatsComponent",
    "questdb": "thedata_cli.components.questdb.component:QuestDBComponent",
    "clickhouse": "thedata_cli.components.clickhouse.component:ClickHouseComponent",
    "materialize": "thedata_cli.components.materialize.component:MaterializeComponent",
    WORKER: "thedata_cli.components.worker.component:WorkerComponent",
}


def component_keys() -> tuple[str, ...]:
    """Return the key of every component, ours first."""
    return (*_OURS, *sorted(_plugins().keys() - _OURS.keys()))


def component_class(key: str) -> type[Component]:
    """Return the class of one component.

    Raises:
        UsageError: There is no component of that key.
        MissingDependencyError: The package that brings it is broken.
    """
    if key in _OURS:
        module, _, name = _OURS[key].partition(":")
        ours: type[Component] = getattr(import_module(module), name)
        return ours
    plugins = _plugins()
    if key not in plugins:
        raise UsageError(f"unknown component {key!r}", hint=suggest(key, component_keys()))
    return _load(key, plugins[key])


def unknown_engine(key: str, present: Iterable[str]) -> tuple[str, str]:
    """Say that a project cannot use an engine, and what would be right.

    Args:
        key: The engine, as it is written.
        present: Components of the project that would do.

    Example:
        >>> unknown_engine("questdb", ["nats"])
        ("the project has no component 'questdb'", 'add `questdb: {}` under `components:` of thedata.yaml')
    """
    known = set(present)
    if key not in known and key in component_keys():
        return f"the project has no component {key!r}", f"add `{key}: {{}}` under `components:` of thedata.yaml"
    return f"unknown engine {key!r}", suggest(key, known)


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def _load(key: str, point: EntryPoint) -> type[Component]:
    """Import a plugin; whatever goes wrong in it is told as one error that names its package."""
    from thedata_cli.component_api.component import Component

    package = point.dist.name if point.dist else point.value
    origin = f"component {key!r} ({point.value} of package {package})"
    hint = f"upgrade or remove the package {package}"
    try:
        loaded = point.load()
    except Exception as error:
        raise MissingDependencyError(
            f"{origin} cannot be loaded: {type(error).__name__}: {error}", hint=hint
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Component)):
        raise MissingDependencyError(f"{origin} is no class derived from Component", hint=hint)
    if getattr(loaded, "key", None) != key:
        raise MissingDependencyError(f"{origin} calls itself {getattr(loaded, 'key', None)!r}", hint=hint)
    return loaded
