"""The resource: something that lives inside a running component and is declared in the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from thedata_cli.errors import SourcePosition, UsageError

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
Spec: TypeAlias = Mapping[str, JsonValue]


@dataclass(frozen=True, order=True)
class ResourceId:
    """The name of a resource in the whole stack, written `component/kind/name`.

    Example:
        >>> str(ResourceId.parse("nats/consumer/departures/loader"))
        'nats/consumer/departures/loader'
    """

    component: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.component}/{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> ResourceId:
        """Read `component/kind/name`; the name may hold further slashes.

        Raises:
            UsageError: The text has fewer than three parts.
        """
        parts = text.split("/", 2)
        if len(parts) != 3 or not all(parts):
            raise UsageError(f"{text!r} is not a resource; write it as component/kind/name, as `thedata plan` shows it")
        return cls(*parts)


@dataclass(frozen=True)
class Resource:
    """One resource, as declared or as observed.

    Attributes:
        id: Its name in the stack.
        spec: Every attribute that can be declared, defaults filled in, in the form the server gives back.
        depends_on: Resources that must exist before this one.
        inside: The resource that holds this one and takes it along when it goes (the stream of a consumer).
        is_rebuilt_with_dependencies: Whether it breaks, and must be created anew, when a dependency is replaced.
        begins_with: A resource of whose content this one keeps the progress. It is deleted before that one is created
            or replaced, and created after it, so that all of the content is brought again.
        position: Where the project declares it; None for an observed one.
        managed_by: Name of the project that created it, empty for a foreign one; on a declared one, whose mark it gets.
        statement: The statement that creates it, where the project's file is that statement; not compared.
        positions: Where single values stand, by dotted key path of the file; for what only the server can find wrong.
    """

    id: ResourceId
    spec: Spec
    depends_on: tuple[ResourceId, ...] = ()
    inside: ResourceId | None = None
    is_rebuilt_with_dependencies: bool = False
    begins_with: ResourceId | None = None
    position: SourcePosition | None = None
    managed_by: str = ""
    statement: str = field(default="", compare=False, repr=False)
    positions: Mapping[str, SourcePosition] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Difference:
    """One attribute that differs; `path` is dotted for nested attributes."""

    path: str
    before: JsonValue
    after: JsonValue = field(default=None)


def differences(observed: Spec, desired: Spec, *, prefix: str = "") -> tuple[Difference, ...]:
    """List the attributes of `desired` that `observed` does not match.

    Attributes that only `observed` has are the server's own defaults, and no difference.

    Example:
        >>> differences({"replicas": 1, "level": 2}, {"replicas": 3})
        (Difference(path='replicas', before=1, after=3),)
    """
    found: list[Difference] = []
    for key, after in desired.items():
        before = observed.get(key)
        path = f"{prefix}{key}"
        if isinstance(after, Mapping) and isinstance(before, Mapping):
            if before.keys() - after.keys():
                found.append(Difference(path, before, after))
            else:
                found.extend(differences(before, after, prefix=f"{path}."))
        elif not _is_same(before, after):
            found.append(Difference(path, before, after))
    return tuple(found)


def _is_same(before: JsonValue, after: JsonValue) -> bool:
    """Compare two values; tuples and lists are the same thing, `True` and `1` are not."""
    if isinstance(before, str) or isinstance(after, str):
        return before == after
    if isinstance(before, Sequence) and isinstance(after, Sequence):
        return len(before) == len(after) and all(map(_is_same, before, after))
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before.keys() == after.keys() and all(_is_same(before[key], after[key]) for key in after)
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    return before == after
