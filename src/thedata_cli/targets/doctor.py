"""Everything that can be examined: this machine, the project's files, the running stack."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from thedata_cli.component_api.routes import ViewRoute
from thedata_cli.errors import InvalidProjectError, TheDataError
from thedata_cli.health import CheckResult, CheckStatus
from thedata_cli.project.load import load_project
from thedata_cli.project.model import Project
from thedata_cli.stack.lag import PipelineLag
from thedata_cli.stack.live_stack import connect
from thedata_cli.targets.choose import choose_target
from thedata_cli.targets.embedded.runtime import EmbeddedTarget
from thedata_cli.targets.embedded.states import ServicePhase, ServiceState
from thedata_cli.targets.machine import check_machine, gather
from thedata_cli.targets.port_check import check_ports
from thedata_cli.targets.route_check import held_up_routes
from thedata_cli.targets.status import pipeline_lag


async def examine(directory: Path | None, environment: str) -> Mapping[str, Sequence[CheckResult]]:
    """Return the findings by group: `machine`, and for a project `project` and `stack`.

    Args:
        directory: The project; None examines the machine alone.
        environment: The overlay to examine the project under.
    """
    machine = [*check_machine(await asyncio.to_thread(gather, directory or Path.cwd()))]
    if directory is None:
        return {"machine": machine}
    try:
        project = load_project(directory, environment)
    except TheDataError as error:
        return {"machine": machine, "project": [_invalid(error)]}
    target = choose_target(project)
    states = await target.status()
    machine.append(await asyncio.to_thread(check_ports, project.components, states))
    for component in project.components.values():
        machine += component.check_machine()
    stack = await _examine_stack(project, target, states)
    return {"machine": machine, "project": [*_check_project(project)], "stack": stack}


def _invalid(error: TheDataError) -> CheckResult:
    cause = error.detail if isinstance(error, InvalidProjectError) else error.message
    return CheckResult("project.files", CheckStatus.FAILED, error.message, cause, error.hint or "thedata check")


def _check_project(project: Project) -> Iterator[CheckResult]:
    declared = sum(map(len, project.declared.values()))
    yield CheckResult(
        "project.files",
        CheckStatus.OK,
        f"{project.name} is valid: {len(project.components)} components, {declared} declarations, "
        f"{len(project.contracts)} contracts, {len(project.routes) + len(project.view_routes)} routes",
    )
    fed = {route.contract.name for route in project.routes}
    unused = sorted(project.contracts.keys() - fed)
    if unused:
        yield CheckResult(
            "project.contracts",
            CheckStatus.WARNING,
            f"no pipeline uses {', '.join(unused)}",
            "messages of these contracts reach no table",
            "add a file under pipelines/, or remove the contract",
        )
    else:
        yield CheckResult("project.contracts", CheckStatus.OK, "every contract is used, and matches its tables")


async def _examine_stack(
    project: Project, target: EmbeddedTarget, states: Sequence[ServiceState]
) -> Sequence[CheckResult]:
    if not any(state.pid for state in states):
        return [CheckResult("stack", CheckStatus.SKIPPED, "the stack does not run; start it with `thedata up`")]
    results = [_check_service(state) for state in states]
    return [*results, *await _ask_services(project, target, states)]


async def _ask_services(
    project: Project, target: EmbeddedTarget, states: Sequence[ServiceState]
) -> Sequence[CheckResult]:
    healthy = [state.service for state in states if state.state is ServicePhase.HEALTHY]
    try:
        async with connect(project.name, project.components, target.endpoints(), only=healthy) as live:
            lag = await pipeline_lag(project, live)
            held_up = await held_up_routes(states)
            views = _check_view_routes(project.view_routes, held_up)
            return [*await live.check(), *(_check_pipelines(lag, held_up) if lag else ()), *views]
    except TheDataError as error:
        return [CheckResult("stack.connection", CheckStatus.FAILED, "cannot connect", error.message, error.hint)]


def _check_service(state: ServiceState) -> CheckResult:
    name = f"stack.{state.service}"
    if state.state is ServicePhase.HEALTHY:
        status = CheckStatus.WARNING if state.restarts else CheckStatus.OK
        cause = f"it died {state.restarts} times since it was started" if state.restarts else ""
        fix = f"thedata logs {state.service}" if state.restarts else ""
        return CheckResult(name, status, f"healthy, pid {state.pid}", cause, fix, {"restarts": state.restarts})
    fixes = {ServicePhase.STOPPED: "thedata up", ServicePhase.UNHEALTHY: f"thedata restart {state.service}"}
    fix = fixes.get(state.state, f"thedata logs {state.service}")
    return CheckResult(name, CheckStatus.FAILED, str(state.state), state.detail or "it does not run", fix)


def _check_view_routes(routes: Sequence[ViewRoute], held_up: Mapping[str, str]) -> Iterator[CheckResult]:
    for route in routes:
        name = f"pipelines.{route.name}"
        if route.name in held_up:
            summary = f"stands still, {route.target} does not follow {route.view}"
            yield CheckResult(name, CheckStatus.FAILED, summary, held_up[route.name], "thedata logs worker")
        else:
            yield CheckResult(name, CheckStatus.OK, f"{route.target} follows {route.view}")


def _check_pipelines(lag: PipelineLag, held_up: Mapping[str, str]) -> Iterator[CheckResult]:
    for route_lag in lag.routes:
        route = route_lag.route
        name = f"pipelines.{route.consumer}"
        if route_lag.pending is None:
            cause = f"stream {route.stream.name} has no consumer {route.consumer}"
            yield CheckResult(name, CheckStatus.FAILED, "not applied", cause, "thedata apply")
        elif route.consumer in held_up:
            summary = f"stands still, {route_lag.pending:,} messages to write into {route.target}"
            yield CheckResult(name, CheckStatus.FAILED, summary, held_up[route.consumer], "thedata logs worker")
        else:
            facts: dict[str, object] = {"pending": route_lag.pending, "redelivered": route_lag.redelivered}
            summary = f"{route_lag.pending:,} messages to write into {route.target}"
            yield CheckResult(name, CheckStatus.OK, summary, facts=facts)
    for stream, count in lag.dead_letters.items():
        facts = {"messages": count}
        if count:
            cause = "messages broke their contract, or a table or source refused them; each carries its error"
            fix = f"thedata stream tail {stream} --last 10 --no-follow --headers"
            summary = f"{count:,} dead letters in {stream}"
            yield CheckResult("pipelines.dead_letters", CheckStatus.WARNING, summary, cause, fix, facts)
        else:
            yield CheckResult("pipelines.dead_letters", CheckStatus.OK, "no dead letters", facts=facts)
