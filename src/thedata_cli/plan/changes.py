"""A plan as data: what the executor runs is what the preview shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from thedata_cli.errors import RefusedError, SourcePosition
from thedata_cli.plan.resources import Difference, Resource, ResourceId


class Action(StrEnum):
    """What happens to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True)
class Step:
    """One call to one service, exactly as it is sent.

    Attributes:
        call: A SQL statement, or the subject of an API request.
        body: Payload of an API request, JSON; empty for SQL.
    """

    call: str
    body: str = ""

    def __str__(self) -> str:
        return f"{self.call} {self.body}".rstrip()


@dataclass(frozen=True)
class Recipe:
    """How a kind of resource carries a change out.

    Attributes:
        action: UPDATE in place, or REPLACE where the service cannot change it in place, …
        steps: The calls, in order.
        loses: What data is lost by it, in words for a person; empty when none is.
        cause: Why it is more than the plain action, such as "storage cannot be changed in place".
    """

    action: Action
    steps: tuple[Step, ...]
    loses: str = ""
    cause: str = ""


class ResourceKind(Protocol):
    """Pure knowledge about one kind of resource: which calls bring it from one spec to another."""

    @property
    def component(self) -> str:
        """The component it lives in."""

    @property
    def name(self) -> str:
        """The kind, as in `ResourceId.kind`."""

    def to_create(self, desired: Resource) -> Recipe:
        """Return the calls that create it, its mark of ownership included."""

    def to_update(self, observed: Resource, desired: Resource, differences: Sequence[Difference]) -> Recipe:
        """Return the calls that change it: UPDATE in place, or REPLACE. No differences: only mark it as ours."""

    def to_replace(self, observed: Resource, desired: Resource) -> Recipe:
        """Return the calls that drop it and create it anew."""

    def to_delete(self, observed: Resource) -> Recipe:
        """Return the calls that remove it."""


@dataclass(frozen=True)
class Change:
    """One planned change.

    Attributes:
        cause: Why it is needed, for a person.
        loses: What data is lost, empty when none is.
        position: Where the project declares the resource; None when it is no longer declared.
    """

    action: Action
    id: ResourceId
    cause: str
    steps: tuple[Step, ...] = ()
    differences: tuple[Difference, ...] = ()
    loses: str = ""
    position: SourcePosition | None = None

    def __str__(self) -> str:
        return f"{self.action} {self.id}: {self.cause}" + (f" [loses {self.loses}]" if self.loses else "")


@dataclass(frozen=True)
class Conflict:
    """A declared resource whose name is taken by one that this project did not create."""

    id: ResourceId
    owner: str
    position: SourcePosition | None = None

    def __str__(self) -> str:
        whose = f"created by project {self.owner!r}" if self.owner else "not created by thedata"
        return f"{self.id} exists and was {whose}"


@dataclass(frozen=True)
class Plan:
    """Ordered changes; `str(plan)` is one line a change, and is what tests compare."""

    changes: tuple[Change, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether live and declared resources already agree."""
        return not self.changes and not self.conflicts

    def __str__(self) -> str:
        lines = [*(f"conflict {conflict}" for conflict in self.conflicts), *map(str, self.changes)]
        return "\n".join(lines) or "no changes"

    def refuse_conflicts(self) -> None:
        """Stop where a foreign resource is in the way.

        Raises:
            RefusedError: With the command that takes the resources over.
        """
        if self.conflicts:
            adopt = " ".join(f"--adopt {conflict.id}" for conflict in self.conflicts)
            raise RefusedError(
                "; ".join(map(str, self.conflicts)),
                hint=f"take it over with `thedata apply {adopt}`, or rename yours",
            )

    def refuse_data_loss(self, *, allowed: bool) -> None:
        """Stop before data is lost, unless that is allowed.

        Raises:
            RefusedError: Listing each change that loses data.
        """
        losing = [change for change in self.changes if change.loses]
        if losing and not allowed:
            raise RefusedError(
                "the plan loses data: "
                + "; ".join(f"{change.action} {change.id} loses {change.loses}" for change in losing),
                hint="read `thedata plan`, then allow it with `thedata apply --allow-data-loss`",
            )
