"""Bringing services up: all at once, each as soon as what it depends on is healthy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thedata_cli.errors import TheDataError
from thedata_cli.targets.embedded.background import in_background
from thedata_cli.targets.embedded.diagnosis import (
    StartFailure,
    first_failing_line,
    read_from,
    start_error,
    taken_ports,
)
from thedata_cli.targets.embedded.preparation import Preparation, PreparedService
from thedata_cli.targets.embedded.probes import ask, pause_before_next
from thedata_cli.targets.embedded.states import ServicePhase
from thedata_cli.targets.embedded.supervisor.service import describe_exit
from thedata_cli.targets.embedded.supervisor_client import Answer, SupervisorClient
from thedata_cli.targets.embedded.telling import Teller

_SICK_AFTER_S = 10.0
"""How long a service that has run for a while may fail its health check before `up` starts it again."""


class Starting:
    """One run of `up` over some services.

    Args:
        ports: The services to start, each with its ports.
        supervisor: Becomes known while services are being prepared.
        timeout_s: Seconds that a service gets from its start until it is healthy.
    """

    def __init__(
        self,
        preparation: Preparation,
        ports: Mapping[str, Mapping[str, int]],
        supervisor: asyncio.Task[SupervisorClient],
        *,
        timeout_s: float,
        teller: Teller,
    ) -> None:
        self._preparation = preparation
        self._ports = ports
        self._supervisor = supervisor
        self._timeout_s = timeout_s
        self._teller = teller
        loop = asyncio.get_running_loop()
        self._healthy: dict[str, asyncio.Future[bool]] = {service: loop.create_future() for service in ports}
        self._exits: dict[int, asyncio.Future[int | None]] = {}
        self._watched = asyncio.Event()

    async def run(self) -> None:
        """Start what does not run as wanted, and wait until all of it is healthy.

        Raises:
            ServiceStartError: Some services failed; the others run.
        """
        watcher = asyncio.create_task(self._watch())
        starts = [asyncio.create_task(self._bring_up(service)) for service in self._ports]
        together = asyncio.create_task(_all_of(starts))
        tasks: list[asyncio.Task[Any]] = [watcher, together, *starts]
        try:
            await asyncio.wait([watcher, together], return_when=asyncio.FIRST_COMPLETED)
            if watcher.done():
                await watcher
            failures = [failure for failure in await together if failure]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if failures:
            in_order = list(self._ports)
            raise start_error(sorted(failures, key=lambda failure: in_order.index(failure.service)))

    async def _watch(self) -> None:
        """Note exits as they happen; ends only by an error, or when cancelled."""
        supervisor = await asyncio.shield(self._supervisor)
        async with supervisor.events() as events:
            self._watched.set()
            async for event in events:
                if event["event"] == "exited":
                    self._exit_of(event["pid"]).set_result(event["exit_code"])
        raise TheDataError(
            "the supervisor died while it was starting services",
            hint="run `thedata up` again: services that run are taken over",
        )

    def _exit_of(self, pid: int) -> asyncio.Future[int | None]:
        return self._exits.setdefault(pid, asyncio.get_running_loop().create_future())

    async def _bring_up(self, service: str) -> StartFailure | None:
        failure = await self._start_in_turn(service)
        if failure:
            self._teller.tell(service, ServicePhase.FAILED, failure.reason)
        self._healthy[service].set_result(failure is None)
        return failure

    async def _start_in_turn(self, service: str) -> StartFailure | None:
        self._teller.tell(service, ServicePhase.PREPARING)
        try:
            prepared = await self._prepare(service)
        except TheDataError as error:
            return StartFailure(service, f"cannot be prepared: {error.message}", error.detail, error.hint)
        for other in prepared.spec.facts["depends_on"]:
            if other in self._healthy and not await self._is_healthy(other, service):
                return StartFailure(service, f"was not started: it needs {other}, which failed")
        supervisor = await asyncio.shield(self._supervisor)
        await self._watched.wait()
        answer = await supervisor.ensure(prepared.spec, prepared.secrets)
        if answer["outcome"] == "unchanged" and (refusal := await self._sickness(prepared, answer)):
            self._teller.tell(service, ServicePhase.STOPPING, f"{refusal}; it is started again")
            await supervisor.stop(service, prepared.spec.stop_timeout_s)
            answer = await supervisor.ensure(prepared.spec, prepared.secrets)
        if answer["outcome"] == "error":
            return StartFailure(service, f"cannot be started: {answer['error']}")
        return await self._until_healthy(prepared, answer, supervisor)

    async def _sickness(self, prepared: PreparedService, answer: Answer) -> str:
        """Return why a service that has had all its time to become healthy is not; it will not mend by itself."""
        if time.time() - answer["started_at"] <= self._timeout_s:
            return ""
        return await self._probe(prepared, min(_SICK_AFTER_S, self._timeout_s))

    async def _prepare(self, service: str) -> PreparedService:
        loop = asyncio.get_running_loop()

        def progress(text: str) -> None:
            loop.call_soon_threadsafe(self._teller.tell, service, ServicePhase.PREPARING, text)

        return await in_background(lambda: self._preparation.prepare(service, self._ports[service], progress))

    async def _is_healthy(self, other: str, service: str) -> bool:
        if not self._healthy[other].done():
            self._teller.tell(service, ServicePhase.WAITING, f"for {other}")
        return await asyncio.shield(self._healthy[other])

    async def _until_healthy(
        self, prepared: PreparedService, answer: Answer, supervisor: SupervisorClient
    ) -> StartFailure | None:
        service, pid = prepared.spec.service, answer["pid"]
        is_new = answer["outcome"] != "unchanged"
        if is_new:
            replaced = ", in place of an earlier one" if answer["outcome"] == "replaced" else ""
            self._teller.tell(service, ServicePhase.STARTING, f"pid {pid}{replaced}")
        probing = asyncio.create_task(self._probe(prepared, self._timeout_s))
        first: tuple[asyncio.Future[Any], ...] = (probing, self._exit_of(pid))
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            probing.cancel()
        log = read_from(Path(prepared.spec.log_file), answer["log_start"])
        if self._exit_of(pid).done():
            # Without this it would be started again and again behind the user's back.
            await supervisor.stop(service, prepared.spec.stop_timeout_s)
            reason = describe_exit(self._exit_of(pid).result())
            holders = await in_background(lambda: taken_ports(prepared.probe.host, prepared.spec.facts["ports"], None))
            return StartFailure(service, f"{reason}: {holders}" if holders else reason, first_failing_line(log))
        refusal = probing.result()
        if not refusal:
            detail = "" if is_new else f"already runs, pid {pid}"
            self._teller.tell(service, ServicePhase.HEALTHY, detail, changed=is_new)
            return None
        holders = await in_background(lambda: taken_ports(prepared.probe.host, prepared.spec.facts["ports"], pid))
        reason = f"is not healthy after {self._timeout_s:g} s: {prepared.probe.url} {refusal}"
        return StartFailure(service, f"{reason}; {holders}" if holders else reason, first_failing_line(log))

    async def _probe(self, prepared: PreparedService, limit_s: float) -> str:
        """Return an empty text once the service is healthy, else the last refusal when the time is over."""
        began = time.monotonic()
        while refusal := await ask(prepared.probe):
            elapsed_s = time.monotonic() - began
            if elapsed_s > limit_s:
                return refusal
            await asyncio.sleep(min(pause_before_next(elapsed_s), max(0.0, limit_s - elapsed_s)))
        return ""


async def _all_of(starts: Sequence[asyncio.Task[StartFailure | None]]) -> Sequence[StartFailure | None]:
    """Wait for every start; an error of one is raised at once."""
    return [await start for start in asyncio.as_completed(starts)]
