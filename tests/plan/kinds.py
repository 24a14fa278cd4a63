"""Two kinds of resources that live nowhere: what `make_plan` needs to know and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thedata_cli.plan.changes import Action, Recipe, Step
from thedata_cli.plan.resources import Difference, Resource, ResourceId, Spec


@dataclass(frozen=True)
class PlainKind:
    """Changes `color` in place, and anything else by replacing."""

    component: str = "broker"
    name: str = "stream"

    def to_create(self, desired: Resource) -> Recipe:
        return Recipe(Action.CREATE, (Step(f"create {desired.id.name}"),))

    def to_update(self, observed: Resource, desired: Resource, differences: Sequence[Difference]) -> Recipe:
        if all(difference.path == "color" for difference in differences):
            return Recipe(Action.UPDATE, (Step(f"update {desired.id.name}"),))
        recipe = self.to_replace(observed, desired)
        return Recipe(recipe.action, recipe.steps, recipe.loses, "cannot be changed in place")

    def to_replace(self, observed: Resource, desired: Resource) -> Recipe:
        return Recipe(
            Action.REPLACE, (Step(f"delete {observed.id.name}"), Step(f"create {desired.id.name}")), "its messages"
        )

    def to_delete(self, observed: Resource) -> Recipe:
        return Recipe(Action.DELETE, (Step(f"delete {observed.id.name}"),), "its messages")


def stream(name: str, spec: Spec | None = None, **extra: object) -> Resource:
    return Resource(ResourceId("broker", "stream", name), spec or {}, **extra)  # type: ignore[arg-type]


def consumer(name: str, inside: Resource, spec: Spec | None = None, **extra: object) -> Resource:
    return Resource(
        ResourceId("broker", "consumer", f"{inside.id.name}/{name}"),
        spec or {},
        inside=inside.id,
        **extra,  # type: ignore[arg-type]
    )
