"""A command's side of the supervisor: find it, start it, ask it."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from thedata_cli.errors import TheDataError
from thedata_cli.targets.embedded.background import in_background
from thedata_cli.targets.embedded.layout import Layout, explained_file_errors, private_runtime_dir
from thedata_cli.targets.embedded.supervisor.process_spec import MARKER, ProcessSpec
from thedata_cli.targets.embedded.supervisor.record import read_record

ALREADY_RUNS = 3
ANSWER_LIMIT_S = 10.0
START_LIMIT_S = 15.0
LOOK_EVERY_S = 0.02
LINE_LIMIT_BYTES = 1 << 24

Answer = dict[str, Any]


class SupervisorClient:
    """Talks to the supervisor of one project; every request has its own connection."""

    def __init__(self, socket_path: Path, pid: int = 0) -> None:
        self._socket_path = socket_path
        self._pid = pid

    async def status(self) -> Answer:
        """Return `services` by name, as `Service.to_json` tells them."""
        return await self._request({"op": "status"}, ANSWER_LIMIT_S)

    async def ensure(self, spec: ProcessSpec, secrets: Mapping[str, str]) -> Answer:
        """Let a service run as wanted; returns when the process has started, not when it is healthy."""
        wait_s = ANSWER_LIMIT_S + spec.stop_timeout_s
        return await self._request({"op": "ensure", "spec": spec.to_json(), "secrets": _sealed(secrets)}, wait_s)

    async def stop(self, service: str, stop_timeout_s: float) -> Answer:
        """Stop a service; returns when it has ended."""
        return await self._request({"op": "stop", "service": service}, ANSWER_LIMIT_S + stop_timeout_s)

    async def end(self) -> None:
        """Ask the supervisor to stop what still runs, and to end."""
        await self._request({"op": "end"}, ANSWER_LIMIT_S)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[Answer]]:
        """Yield what happens to the services from now on; ends when the supervisor dies."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket_path, limit=LINE_LIMIT_BYTES)
        except OSError as error:
            raise _died() from error
        try:
            writer.write(b'{"op": "watch"}\n')
            await asyncio.wait_for(reader.readline(), ANSWER_LIMIT_S)
            yield _objects(reader)
        finally:
            writer.close()

    async def _request(self, request: Answer, limit_s: float) -> Answer:
        try:
            async with asyncio.timeout(limit_s):
                answer = await self._exchange(request)
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            if isinstance(error, TimeoutError):
                raise TheDataError(
                    f"the supervisor (pid {self._pid}) did not answer within {limit_s:g} s",
                    hint=f"`kill -9 {self._pid}`, then run the command again: services that run are taken over",
                ) from error
            raise _died() from error

        if "refused" in answer:
            raise TheDataError(
                f"the supervisor (pid {self._pid}) does not understand this command: {answer['refused']}",
                hint=f"it may be of another version: `kill -9 {self._pid}`, then run the command again; "
                "services that run are taken over",
            )
        return answer

    async def _exchange(self, request: Answer) -> Answer:
        reader, writer = await asyncio.open_unix_connection(self._socket_path, limit=LINE_LIMIT_BYTES)
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            answer: Answer = json.loads(await reader.readuntil(b"\n"))
            return answer
        finally:
            writer.close()


def _died() -> TheDataError:
    return TheDataError(
        "the supervisor has died",
        hint="run the command again: services that run are taken over; `thedata logs supervisor` may say why",
    )


async def find_supervisor(layout: Layout) -> SupervisorClient | None:
    """Return the project's supervisor, when one lives.

    Raises:
        TheDataError: It lives and cannot be reached.
    """
    record = read_record(layout.record_file)
    if record is None:
        return None
    waited_s = 0.0
    while True:
        client = await _connect(record)
        if client or not is_locked(layout.state_dir / "supervisor.lock"):
            return client
        if waited_s >= ANSWER_LIMIT_S:
            pid = record.get("pid", "?")
            raise TheDataError(
                f"the supervisor (pid {pid}) cannot be reached at {record.get('socket')}",
                hint=f"`kill -9 {pid}`, then run the command again: services that run are taken over",
            )
        await asyncio.sleep(LOOK_EVERY_S)
        waited_s += LOOK_EVERY_S
        record = read_record(layout.record_file) or record


async def start_supervisor(layout: Layout, log_max_bytes: int) -> SupervisorClient:
    """Start the project's supervisor, which lives on when this command has ended.

    Raises:
        TheDataError: It did not start; with the reason from its own output.
    """
    socket_path = private_runtime_dir(layout.key) / "supervisor.sock"
    command = (
        # -P: a file in the working directory must not stand in for a module.
        *(sys.executable, "-P", "-m", "thedata_cli.targets.embedded.supervisor"),
        *(str(layout.state_dir.resolve()), str(layout.log_dir.resolve()), str(socket_path)),
        *(layout.key, str(log_max_bytes)),
    )
    for _ in range(int(START_LIMIT_S / LOOK_EVERY_S)):
        code, output = await in_background(lambda: _run(command))
        if code == 0:
            return SupervisorClient(socket_path)
        if code != ALREADY_RUNS:
            raise TheDataError(
                f"the supervisor did not start (exit code {code})",
                hint=f"see {layout.log_dir / 'supervisor.log'}",
                detail=output.strip(),
            )
        # One that is just ending still holds its lock.
        await asyncio.sleep(LOOK_EVERY_S)
    raise TheDataError("another supervisor of this project neither answers nor ends", hint="`thedata down`")


async def has_ended(layout: Layout) -> bool:
    """Wait until the supervisor's process is gone; False when it stays too long."""
    for _ in range(int(ANSWER_LIMIT_S / LOOK_EVERY_S)):
        if not is_locked(layout.state_dir / "supervisor.lock"):
            return True
        await asyncio.sleep(LOOK_EVERY_S)
    return False


def is_locked(path: Path) -> bool:
    """Tell whether a process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _sealed(secrets: Mapping[str, str]) -> Answer:
    digest = hashlib.blake2b(json.dumps(dict(secrets), sort_keys=True).encode(), digest_size=16).hexdigest()
    return {"values": dict(secrets), "digest": digest}


async def _connect(record: Answer) -> SupervisorClient | None:
    if not record.get("socket"):
        return None
    try:
        _, writer = await asyncio.open_unix_connection(record["socket"])
    except OSError:
        return None
    writer.close()
    return SupervisorClient(Path(record["socket"]), record.get("pid", 0))


async def _objects(reader: asyncio.StreamReader) -> AsyncIterator[Answer]:
    while line := await reader.readline():
        yield json.loads(line)


def _run(command: tuple[str, ...]) -> tuple[int, str]:
    import subprocess

    # Started from inside a service, its mark must not go on to the new supervisor and all it starts.
    environment = {name: value for name, value in os.environ.items() if name != MARKER}
    with explained_file_errors(Path(command[0])):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            cwd="/",
            start_new_session=True,
            check=False,
        )
    return done.returncode, done.stderr.decode(errors="replace")
