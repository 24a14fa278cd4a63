"""The platform of the delivery tests: a broker, a store and worker processes, shared by the tests of one process."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.routes import route_to
from tests.pipeline.services import Service
from tests.pipeline.stores import PROJECT, EngineUnderTest, SqliteUnderTest, StoreUnderTest, create
from tests.server_process import free_ports
from thedata_cli.component_api.live import CanPublish, CanTail, OutgoingMessage, StreamMessage, TailStart
from thedata_cli.component_api.routes import Route
from thedata_cli.components.nats.component import NatsComponent
from thedata_cli.components.nats.streams import Stream
from thedata_cli.project.registry import component_class

_names = itertools.count(1)


async def eventually(condition: Callable[[], Awaitable[bool]], *, within_s: float = 30.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.05)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(NatsComponent(), tmp_path_factory.mktemp("nats")).start()
    yield service
    service.stop()


@pytest.fixture(scope="session", params=["sqlite", "questdb", "clickhouse"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreUnderTest]:
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        yield SqliteUnderTest(directory / "up")
        return
    component = component_class(request.param)()
    service = Service(component, directory).start()
    (table,) = [model for model in component.declarations["tables"] if model.model_fields["kind"].default == "table"]
    yield EngineUnderTest(component, table, service)
    service.stop()


class Worker:
    """A worker process."""

    def __init__(self, settings: Path, log: Path) -> None:
        self._log = log
        self.port = json.loads(settings.read_text())["port"]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.pipeline.worker_process", str(settings)],
                stdout=output,
                stderr=output,
                cwd=Path(__file__).parents[2],
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )

    @property
    def log(self) -> list[str]:
        return self._log.read_text().splitlines()

    async def health(self) -> dict[str, Any]:
        """Return the state of its only route; empty while the process starts."""
        try:
            answer = await asyncio.to_thread(self._healthz)
        except OSError:
            return {}
        return dict(json.loads(answer)["routes"][0])

    def _healthz(self) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=10) as response:
            return bytes(response.read())

    async def until(self, **wanted: Any) -> dict[str, Any]:
        """Wait until the route's health says this, and return it."""
        seen: dict[str, Any] = {}

        async def says() -> bool:
            seen.clear()
            seen.update(await self.health())
            return bool(seen) and all(seen[key] == value for key, value in wanted.items())

        try:
            await eventually(says)
        except AssertionError:
            raise AssertionError(f"never {wanted}, but {seen}; log: {self.log[-20:]}") from None
        return seen

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> float:
        """Ask it to stop; return the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=15)
        return time.monotonic() - started


class Platform:
    """A stream of its own for one test, the route to a table of its own, and its workers."""

    def __init__(self, broker: Service, store: StoreUnderTest, directory: Path) -> None:
        self.broker = broker
        self.store = store
        self.name = f"readings{os.getpid()}x{next(_names)}"
        self._directory = directory
        self._workers: list[Worker] = []
        self._routing: dict[str, Any] = {}

    @property
    def route(self) -> Route:
        return route_to(self.store.engine, self.name, stream=self.name, **self._routing)

    async def create(self, **routing: Any) -> None:
        """Create stream, consumer and table."""
        self._routing = routing
        await self.create_stream()
        await self.store.create_table(self.route)

    async def create_stream(self) -> None:
        stream = Stream(name=self.name, subjects=(f"{self.name}.>",))
        await create(NatsComponent(), self.broker, [stream], [self.route])

    async def publish(self, numbers: Iterable[int]) -> None:
        """Publish one good message for each number."""
        await self.publish_raw(
            json.dumps({"at": f"2026-01-{1 + number % 28:02}T12:00:00Z", "sensor": "cellar", "number": number}).encode()
            for number in numbers
        )

    async def publish_raw(self, payloads: Iterable[bytes]) -> None:
        connection = NatsComponent().connect(self.broker.endpoint, PROJECT)
        assert connection
        async with connection as live:
            assert isinstance(live, CanPublish)
            await live.publish([OutgoingMessage(f"{self.name}.cellar", payload) for payload in payloads])

    async def numbers(self) -> list[int]:
        return sorted(await self.store.numbers(self.name))

    async def arrived(self, count: int) -> list[int]:
        """Wait until the table has at least that many rows, and nothing is unacknowledged; return them in order."""

        async def is_done() -> bool:
            return await self.unsettled() == 0 and len(await self.numbers()) >= count

        try:
            await eventually(is_done, within_s=60)
        except AssertionError:
            logs = [line for worker in self._workers for line in worker.log[-20:]]
            found = f"{len(await self.numbers())} rows, {await self.unsettled()} unsettled"
            raise AssertionError(f"never {count} rows, but {found}; log:\n" + "\n".join(logs)) from None
        return await self.numbers()

    async def visible(self, count: int) -> list[int]:
        """Wait until the table shows at least that many rows; a store may show later what it has confirmed."""

        async def is_there() -> bool:
            return len(await self.numbers()) >= count

        await eventually(is_there)
        return await self.numbers()

    async def unsettled(self) -> int:
        """Return how many messages the route's consumer has not acknowledged."""
        connection = NatsComponent().connect(self.broker.endpoint, PROJECT)
        assert connection
        async with connection as live:
            assert isinstance(live, CanTail)
            (stream,) = [stream for stream in await live.streams() if stream.name == self.name]
            (consumer,) = stream.consumers
            return consumer.lag + consumer.unacknowledged

    async def dead_letters(self, count: int) -> list[StreamMessage]:
        """Return the dead letters of the route, which must be `count`."""
        subject = f"dead-letters.{self.route.consumer}"
        connection = NatsComponent().connect(self.broker.endpoint, PROJECT)
        assert connection
        async with connection as live:
            assert isinstance(live, CanTail)
            found: list[StreamMessage] = []
            end = f"{subject}.end"
            assert isinstance(live, CanPublish)
            await live.publish([OutgoingMessage(end, b"")])
            async for message in live.tail("dead-letters", TailStart(sequence=1)):
                if message.subject == subject:
                    found.append(message)
                if message.subject == end:
                    break
        assert len(found) == count
        return found

    def start_worker(self, *, signal_after: int = 0, number: int = signal.SIGKILL) -> Worker:
        name = f"worker{len(self._workers)}"
        settings = self._directory / f"{name}.json"
        broker = self.broker.endpoint
        settings.write_text(
            json.dumps(
                {
                    "endpoints": {
                        "nats": {"host": broker.host, "ports": broker.ports, "secrets": broker.secrets},
                        self.store.engine: self.store.where,
                    },
                    "routes": [{"engine": self.store.engine, "table": self.name, "stream": self.name, **self._routing}],
                    "port": free_ports(1)[0],
                    "signal_after": signal_after,
                    "signal": number,
                }
            )
        )
        worker = Worker(settings, self._directory / f"{name}.log")
        self._workers.append(worker)
        return worker

    def end_workers(self) -> None:
        for worker in self._workers:
            worker.kill()


@pytest.fixture
async def platform(broker: Service, store: StoreUnderTest, tmp_path: Path) -> AsyncIterator[Platform]:
    platform = Platform(broker, store, tmp_path)
    yield platform
    platform.end_workers()
