"""The live stack: every component of a project connected at once, observed, changed and checked as one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from thedata_cli.component_api.component import Component
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import LiveComponent
from thedata_cli.errors import InvalidProjectError, Problem, ServiceUnreachableError, TheDataError, UsageError
from thedata_cli.health import CheckResult, CheckStatus
from thedata_cli.plan.changes import Change, Plan
from thedata_cli.plan.make_plan import make_plan
from thedata_cli.plan.resources import Resource, ResourceId

Ability = TypeVar("Ability")


class ChangeState(StrEnum):
    """What became of a planned change."""

    DONE = "done"
    FAILED = "failed"
    NOT_TRIED = "not_tried"


@dataclass(frozen=True)
class AppliedChange:
    """One change of a plan and what became of it; `error` is set when it failed."""

    change: Change
    state: ChangeState
    error: TheDataError | None = None


@dataclass(frozen=True)
class ApplyReport:
    """What an `apply` did, in the order of the plan."""

    changes: tuple[AppliedChange, ...] = ()

    @property
    def failure(self) -> AppliedChange | None:
        """The change at which it stopped."""
        return next((applied for applied in self.changes if applied.state is ChangeState.FAILED), None)


class LiveStack:
    """Connected components by key; made by `connect`."""

    def __init__(self, project: str, components: Mapping[str, Component], live: Mapping[str, LiveComponent]) -> None:
        self._project = project
        self._components = components
        self._live = live

    def get(self, key: str) -> LiveComponent | None:
        """Return one connected component; None when it is not connected."""
        return self._live.get(key)

    def with_ability(self, ability: type[Ability], *, key: str = "") -> Ability:
        """Return the component that has an ability (`CanTail`, `CanQuery`, …); the one named `key` when given.

        Raises:
            UsageError: None has it, or the named one does not.
        """
        able = {name: live for name, live in self._live.items() if isinstance(live, ability)}
        if key:
            if key not in able:
                raise UsageError(
                    f"{key!r} cannot do that in this project",
                    hint=f"these can: {', '.join(sorted(able)) or 'none'}",
                )
            return able[key]
        if not able:
            raise UsageError("no component of this project can do that", hint="add one under `components:`")
        return next(iter(able.values()))

    async def plan(self, desired: Sequence[Resource], *, adopt: Collection[ResourceId] = ()) -> Plan:
        """Observe every connected component and decide what turns it into `desired`.

        What lives in a component that is not connected, or needs something there, is left as it is.

        Raises:
            InvalidProjectError: Engines refuse expressions of the project's files; all of them.
        """
        left = _out_of_reach(desired, self._live.keys())
        normalised, observed = await asyncio.gather(
            self._normalise([resource for resource in desired if resource.id not in left]), self._observe()
        )
        observed = [resource for resource in observed if resource.id not in left]
        kinds = [kind for component in self._components.values() for kind in component.kinds]
        return make_plan(project=self._project, desired=normalised, observed=observed, kinds=kinds, adopt=adopt)

    async def apply(self, plan: Plan, on_change: Callable[[AppliedChange], None]) -> ApplyReport:
        """Carry a plan out, change by change, and stop at the first that fails; running it again continues."""
        applied: list[AppliedChange] = []
        has_failed = False
        for change in plan.changes:
            if has_failed:
                applied.append(AppliedChange(change, ChangeState.NOT_TRIED))
                continue
            try:
                for step in change.steps:
                    await self._live[change.id.component].execute(step)
            except TheDataError as error:
                has_failed = True
                applied.append(AppliedChange(change, ChangeState.FAILED, error))
            else:
                applied.append(AppliedChange(change, ChangeState.DONE))
            on_change(applied[-1])
        return ApplyReport(tuple(applied))

    async def check(self) -> Sequence[CheckResult]:
        """Return the findings of every component; one that cannot be asked is a failed check, not an error."""
        results = await asyncio.gather(*(_check(key, live) for key, live in self._live.items()))
        return [result for component in results for result in component]

    async def versions(self) -> Mapping[str, str]:
        """Return the running version of every component that tells it."""
        versions = await asyncio.gather(*(live.version() for live in self._live.values()), return_exceptions=True)
        return {key: version for key, version in zip(self._live, versions, strict=True) if isinstance(version, str)}

    async def _normalise(self, desired: Sequence[Resource]) -> list[Resource]:
        parts = [
            live.normalise([resource for resource in desired if resource.id.component == key])
            for key, live in self._live.items()
        ]
        problems: list[Problem] = []
        normalised: list[Resource] = []
        for part in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(part, InvalidProjectError):
                problems.extend(part.problems)
            elif isinstance(part, BaseException):
                raise part
            else:
                normalised.extend(part)
        if problems:
            raise InvalidProjectError(problems)
        return normalised

    async def _observe(self) -> list[Resource]:
        parts = await asyncio.gather(*(live.observe() for live in self._live.values()))
        return [resource for part in parts for resource in part]


def _out_of_reach(desired: Sequence[Resource], connected: Collection[str]) -> set[ResourceId]:
    left = {resource.id for resource in desired if resource.id.component not in connected}
    while more := {
        resource.id
        for resource in desired
        if resource.id not in left
        and not left.isdisjoint({*resource.depends_on, resource.inside, resource.begins_with})
    }:
        left |= more
    return left


async def _check(key: str, live: LiveComponent) -> Sequence[CheckResult]:
    try:
        return await live.check()
    except TheDataError as error:
        return [CheckResult(f"{key}.check", CheckStatus.FAILED, "cannot be checked", error.message, error.hint)]


@contextlib.asynccontextmanager
async def connect(
    project: str,
    components: Mapping[str, Component],
    endpoints: Mapping[str, Endpoint],
    *,
    only: Iterable[str] | None = None,
) -> AsyncIterator[LiveStack]:
    """Connect the components at the same time, and disconnect them at the end.

    Args:
        project: Name of the project.
        components: Every component of the stack by key.
        endpoints: Where each is reached, by key.
        only: Connect just these; None means all that can be connected to.

    Raises:
        ServiceUnreachableError: One or more do not answer; the message names each.
    """
    wanted = components.keys() if only is None else [key for key in only if key in components]
    opened = {
        key: connection
        for key in wanted
        if key in endpoints and (connection := components[key].connect(endpoints[key], project)) is not None
    }
    async with contextlib.AsyncExitStack() as exits:
        entered = await asyncio.gather(
            *(exits.enter_async_context(connection) for connection in opened.values()), return_exceptions=True
        )
        live: dict[str, LiveComponent] = {}
        failures: list[BaseException] = []
        for key, result in zip(opened, entered, strict=True):
            if isinstance(result, BaseException):
                failures.append(result)
            else:
                live[key] = result
        if failures:
            raise _as_one(failures)
        yield LiveStack(project, components, live)


def _as_one(failures: Sequence[BaseException]) -> BaseException:
    """Return one error for all connections that failed; anything but a plain "unreachable" goes first."""
    foreign = [failure for failure in failures if not isinstance(failure, ServiceUnreachableError)]
    if foreign:
        return foreign[0]
    known = [failure for failure in failures if isinstance(failure, ServiceUnreachableError)]
    if len(known) == 1:
        return known[0]
    return ServiceUnreachableError(
        "; ".join(error.message for error in known),
        hint=next((error.hint for error in known if error.hint), ""),
    )
