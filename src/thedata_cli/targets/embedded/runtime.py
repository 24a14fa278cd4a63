"""The embedded target: the services of one project as processes of this machine.

What runs outlives the command that started it. Everything here can be run again after Ctrl-C, `kill -9` or a reboot.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from thedata_cli.component_api.component import Component
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.errors import RefusedError, ServiceUnreachableError, TheDataError, UsageError
from thedata_cli.targets.embedded.command_lock import command_lock
from thedata_cli.targets.embedded.diagnosis import port_holder
from thedata_cli.targets.embedded.layout import Layout, explained_file_errors
from thedata_cli.targets.embedded.logs import follow_logs, tail_lines
from thedata_cli.targets.embedded.ports import (
    choose_ports,
    is_port_free,
    load_ports,
    release_ports,
    reserved_elsewhere,
    save_ports,
)
from thedata_cli.targets.embedded.preparation import Preparation, user_cache_dir
from thedata_cli.targets.embedded.starting import Starting
from thedata_cli.targets.embedded.states import LogLine, OnEvent, ServicePhase, ServiceState
from thedata_cli.targets.embedded.status import known_services, service_state
from thedata_cli.targets.embedded.stopping import stop_services
from thedata_cli.targets.embedded.supervisor.record import read_record
from thedata_cli.targets.embedded.supervisor_client import (
    Answer,
    SupervisorClient,
    find_supervisor,
    has_ended,
    start_supervisor,
)
from thedata_cli.targets.embedded.telling import Teller

DEFAULT_TIMEOUT_S = 60.0
LOG_MAX_BYTES = 10_000_000
SUPERVISOR_LOG = "supervisor"


class EmbeddedTarget:
    """The services of one project on this machine.

    Args:
        project_dir: Root of the project.
        components: The stack, by service name.
        secrets: Secret name → value, for what the components ask for.
        secret_names: Service → secrets that it may know; those of its component when it is not in here.
        environment: Name of the environment the stack was resolved for; empty for the default.
        revisions: Service → a word that changes with what it reads from the project by itself; a new one restarts it.
        host: Address that the services listen on.
        cache_dir: Downloads, shared by all projects; the user's cache directory when None.
        log_max_bytes: A service's log is rotated when it is larger.
    """

    name: ClassVar[str] = "embedded"

    def __init__(
        self,
        project_dir: Path,
        project: str,
        components: Mapping[str, Component],
        secrets: Mapping[str, str],
        *,
        secret_names: Mapping[str, Sequence[str]] | None = None,
        environment: str = "",
        revisions: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        cache_dir: Path | None = None,
        log_max_bytes: int = LOG_MAX_BYTES,
    ) -> None:
        self.project = project
        self._layout = Layout(project_dir.resolve())
        self._components = components
        self._secrets = secrets
        own = {name: [spec.name for spec in component.secrets] for name, component in components.items()}
        self._secret_names = {**own, **(secret_names or {})}
        self._host = host
        self._log_max_bytes = log_max_bytes
        self._preparation = Preparation(
            layout=self._layout,
            components=components,
            secrets=secrets,
            environment=environment,
            revisions=revisions or {},
            host=host,
            cache_dir=cache_dir or user_cache_dir(),
        )

    async def up(self, *, timeout_s: float = DEFAULT_TIMEOUT_S, on_event: OnEvent) -> Sequence[ServiceState]:
        """Start what does not run as wanted, and wait until every service is healthy.

        Args:
            timeout_s: Seconds that each service gets from its start, and seconds to wait for another command.
            on_event: Told every step.

        Raises:
            ServiceStartError: Some services failed; the message says which and why, the others run.
            RefusedError: Another command does not leave the project.
        """
        teller = Teller(on_event)
        async with self._changing("thedata up", timeout_s, teller):
            await self._bring_up(set(self._components), timeout_s, teller)
        return await self.status()

    async def down(self, *, timeout_s: float = DEFAULT_TIMEOUT_S, on_event: OnEvent) -> Sequence[ServiceState]:
        """Stop every service, dependants first, and the supervisor; data and ports stay.

        Args:
            timeout_s: Seconds to wait for another command.
            on_event: Told every step.
        """
        if not self._layout.state_dir.exists():
            return await self.status()
        teller = Teller(on_event)
        async with self._changing("thedata down", timeout_s, teller):
            supervisor = await find_supervisor(self._layout)
            if supervisor is None and read_record(self._layout.record_file) is not None:
                # A supervisor that was killed leaves services; a new one takes them over and stops them in good order.
                supervisor = await start_supervisor(self._layout, self._log_max_bytes)
            if supervisor:
                services = (await supervisor.status())["services"]
                await stop_services(supervisor, services, set(services), teller)
                await supervisor.end()
                if not await has_ended(self._layout):
                    raise TheDataError("the services were stopped, but the supervisor does not end")
        return await self.status()

    async def restart(
        self, service: str, *, timeout_s: float = DEFAULT_TIMEOUT_S, on_event: OnEvent
    ) -> Sequence[ServiceState]:
        """Stop one service and start it again, with the project's present settings.

        Raises:
            UsageError: The stack has no such service.
            ServiceStartError: It did not become healthy.
        """
        self._require_known(service, self._components)
        teller = Teller(on_event)
        async with self._changing("thedata restart", timeout_s, teller):
            supervisor = await find_supervisor(self._layout)
            if supervisor:
                services = (await supervisor.status())["services"]
                await stop_services(supervisor, services, {service} & set(services), teller)
            await self._bring_up({service}, timeout_s, teller)
        return await self.status()

    async def status(self) -> Sequence[ServiceState]:
        """Return every service of the stack, and every other one that still runs; each is asked for its health."""
        running = await known_services(self._layout)
        ports = load_ports(self._layout.ports_file) or {}
        foreign = [name for name, known in running.items() if name not in self._components and known["pid"] is not None]
        names = [*self._components, *foreign]
        return await asyncio.gather(*(service_state(name, running.get(name), ports.get(name, {})) for name in names))

    async def is_running(self, service: str) -> bool:
        """Return whether a service runs under the supervisor, or was started by one that is dead."""
        known = (await known_services(self._layout)).get(service)
        return known is not None and known["pid"] is not None

    async def logs(
        self, service: str | None = None, *, follow: bool = False, tail: int = 100
    ) -> AsyncIterator[LogLine]:
        """Yield the last lines of a log, or of all of them; with `follow` also every new line, for ever.

        Args:
            service: A service of the stack or `supervisor`; None for all services.
            follow: Go on with new lines.
            tail: Lines of each log, at most.

        Raises:
            UsageError: There is no such service.
        """
        written = [file.stem for file in sorted(self._layout.log_dir.glob("*.log"))]
        known = [*self._components, *(name for name in written if name not in self._components)]
        if service is not None:
            self._require_known(service, {*known, SUPERVISOR_LOG})
        names = [name for name in known if name != SUPERVISOR_LOG] if service is None else [service]
        ends = []
        for name in names:
            lines, end = tail_lines(self._layout.log_file(name), tail)
            ends.append((name, self._layout.log_file(name), end))
            for line in lines:
                yield LogLine(name, line)
        if follow:
            async for new in follow_logs(ends):
                yield new

    def endpoints(self) -> Mapping[str, Endpoint]:
        """Return where each service is reached, from the remembered ports; it may not run.

        Raises:
            ServiceUnreachableError: The stack, or a part of it, was never started here.
        """
        ports = load_ports(self._layout.ports_file) or {}
        missing = [name for name in self._components if name not in ports]
        if missing:
            raise ServiceUnreachableError(f"{', '.join(missing)} was never started here", hint="`thedata up`")
        return {
            name: Endpoint(
                self._host,
                ports[name],
                {secret: self._secrets[secret] for secret in self._secret_names[name] if secret in self._secrets},
            )
            for name in self._components
        }

    def data_bytes(self) -> Mapping[str, int]:
        """Return the bytes of data on disk of each service that has any: what `destroy_data` would delete."""
        data = self._layout.root / "data"
        sizes = {
            directory.name: sum(file.lstat().st_size for file in directory.rglob("*") if file.is_file())
            for directory in (sorted(data.iterdir()) if data.is_dir() else [])
        }
        return {name: size for name, size in sizes.items() if size}

    async def destroy_data(self) -> Mapping[str, int]:
        """Delete the data of all services for good; whoever calls this has asked the user.

        Returns:
            Bytes deleted, by service.

        Raises:
            RefusedError: Services still run.
        """
        async with self._changing("thedata down --volumes", DEFAULT_TIMEOUT_S, Teller(lambda _: None)):
            running = [state.service for state in await self.status() if state.pid is not None]
            if running:
                raise RefusedError(f"{', '.join(running)} still run", hint="`thedata down`, then again")
            sizes = self.data_bytes()
            for name in sizes:
                with explained_file_errors(self._layout.data_dir(name)):
                    shutil.rmtree(self._layout.data_dir(name))
        return sizes

    @asynccontextmanager
    async def _changing(self, command: str, wait_s: float, teller: Teller) -> AsyncIterator[None]:
        self._layout.create()
        async with command_lock(
            self._layout.command_lock,
            command,
            wait_s=wait_s,
            on_wait=lambda detail: teller.tell("", ServicePhase.WAITING, detail),
        ):
            yield

    async def _bring_up(self, services: Collection[str], timeout_s: float, teller: Teller) -> None:
        found = await find_supervisor(self._layout)
        # After a clean end nothing runs, so the preparation need not wait for the new supervisor to look.
        is_fresh = found is None and read_record(self._layout.record_file) is None
        supervisor = asyncio.create_task(self._supervisor(found))
        try:
            running: Mapping[str, Answer] = {} if is_fresh else (await (await supervisor).status())["services"]
            gone = set(running) - set(self._components)
            await stop_services(await supervisor, running, gone, teller) if gone else None
            ports = self._choose_ports(running, teller)
            wanted = {name: ports[name] for name in services}
            await Starting(self._preparation, wanted, supervisor, timeout_s=timeout_s, teller=teller).run()
        finally:
            release_ports(self._layout.key)
            supervisor.cancel()

    async def _supervisor(self, found: SupervisorClient | None) -> SupervisorClient:
        return found or await start_supervisor(self._layout, self._log_max_bytes)

    def _choose_ports(self, running: Mapping[str, Answer], teller: Teller) -> Mapping[str, Mapping[str, int]]:
        held = {
            name: service["spec"]["facts"]["ports"] for name, service in running.items() if service["pid"] is not None
        }
        remembered = load_ports(self._layout.ports_file) or {}
        with reserved_elsewhere(self._layout.key) as (elsewhere, reserve):
            chosen, moves = choose_ports(
                {name: component.ports for name, component in self._components.items()},
                remembered,
                held,
                lambda number: number not in elsewhere and is_port_free(self._host, number),
            )
            reserve(chosen)
        for move in moves:
            holder = port_holder(self._host, move.expected)
            reason = f"{move.expected} is taken by {holder}" if holder else f"{move.expected} is taken"
            teller.tell(
                move.service,
                ServicePhase.PREPARING,
                f"port {move.name} is {move.number} this time and from now on, as {reason}",
            )
        save_ports(self._layout.ports_file, chosen)
        return chosen

    def _require_known(self, service: str, known: Collection[str]) -> None:
        if service not in known:
            raise UsageError(f"there is no service {service!r}", hint=f"known: {', '.join(sorted(known))}")
