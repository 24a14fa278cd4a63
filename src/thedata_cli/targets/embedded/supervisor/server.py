"""The supervisor's loop: requests of commands, exits of services, and what is due."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from thedata_cli.targets.embedded.supervisor.log_files import rotate
from thedata_cli.targets.embedded.supervisor.process_spec import (
    SECRETS_MARKER,
    ProcessSpec,
    Secrets,
    marker_value,
)
from thedata_cli.targets.embedded.supervisor.processes import (
    Orphan,
    environment_of,
    find_orphan,
    start_time,
    stop_strays,
)
from thedata_cli.targets.embedded.supervisor.record import read_record, write_record
from thedata_cli.targets.embedded.supervisor.service import Service

HOUSEKEEPING_S = 5.0
ORPHAN_LOOK_S = 0.25
"""The exit of an adopted process sends no signal, so it is looked for."""
RECORD_DELAY_S = 0.2
"""Recording needs psutil, whose import must not hold up the starts of a stack."""
SEND_LIMIT_S = 2.0

Reply = Callable[[dict[str, Any]], None]


class Connection:
    """A command's end of the socket."""

    def __init__(self, endpoint: socket.socket) -> None:
        self.endpoint = endpoint
        self.is_watching = False
        self._pending = b""
        endpoint.settimeout(SEND_LIMIT_S)

    def lines(self) -> list[bytes] | None:
        """Return the requests that came; None when the other side has gone."""
        try:
            received = self.endpoint.recv(1 << 16)
        except OSError:
            return None
        if not received:
            return None
        *complete, self._pending = (self._pending + received).split(b"\n")
        return complete

    def send(self, answer: dict[str, Any]) -> None:
        """Send one object; a command that is gone misses nothing."""
        with contextlib.suppress(OSError):
            self.endpoint.sendall(json.dumps(answer).encode() + b"\n")


class Supervisor:
    """All services of one project.

    Args:
        record_file: Holds pids and specs while the supervisor lives; removed when it ends in good order.
        socket_path: Where `listener` listens.
        project_key: Marks the processes.
        log_dir: Has the supervisor's own log.
        log_max_bytes: A larger log is rotated.
    """

    def __init__(
        self,
        *,
        record_file: Path,
        socket_path: Path,
        listener: socket.socket,
        project_key: str,
        log_dir: Path,
        log_max_bytes: int,
    ) -> None:
        self._record_file = record_file
        self._socket_path = socket_path
        self._project_key = project_key
        self._own_log = log_dir / "supervisor.log"
        self._log_max_bytes = log_max_bytes
        self._services: dict[str, Service] = {}
        self._connections: dict[int, Connection] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = listener
        self._is_asked_to_end = False
        self._is_ending = False
        self._housekeeping_due = time.monotonic() + HOUSEKEEPING_S
        self._record_due: float | None = None
        self._operations = {"status": self._status, "ensure": self._ensure, "stop": self._stop, "end": self._end}

    def run(self) -> None:
        """Work until told to end."""
        wake_receiver, wake_sender = socket.socketpair()
        for end in (wake_receiver, wake_sender):
            end.setblocking(False)
        signal.set_wakeup_fd(wake_sender.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGHUP):
            # A handler, not SIG_IGN: what is ignored would stay ignored in the services.
            signal.signal(number, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_end)
        self._selector.register(wake_receiver, selectors.EVENT_READ, lambda: wake_receiver.recv(4096))
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._take_over()
        while not (self._is_ending and all(service.process is None for service in self._services.values())):
            for key, _ in self._selector.select(self._seconds_until_due()):
                key.data()
            if self._is_asked_to_end and not self._is_ending:
                self._end_all()
            for service in self._services.values():
                service.look()
            self._keep_house()
        self._record_file.unlink(missing_ok=True)
        self._socket_path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._socket_path.parent.rmdir()

    def _ask_to_end(self, *_: object) -> None:
        self._is_asked_to_end = True

    def _seconds_until_due(self) -> float:
        now = time.monotonic()
        due = [service.due for service in self._services.values() if service.due is not None]
        if any(isinstance(service.process, Orphan) for service in self._services.values()):
            due.append(now + ORPHAN_LOOK_S)
        if self._record_due is not None:
            due.append(self._record_due)
        return max(0.0, min([self._housekeeping_due, *due]) - now)

    def _keep_house(self) -> None:
        now = time.monotonic()
        if self._record_due is not None and now >= self._record_due:
            self._record_due = None
            self._record()
        if now < self._housekeeping_due:
            return
        self._housekeeping_due = now + HOUSEKEEPING_S
        for service in self._services.values():
            service.rotate_log(self._log_max_bytes)
        rotate(self._own_log, self._log_max_bytes)
        if is_deleted(self._record_file.parent):
            # With the project gone, nobody could ever stop the services.
            self._end_all()
        elif not self._socket_path.exists():
            self._listen_again()

    def _listen_again(self) -> None:
        # Temporary directories are swept, and session directories go with the session.
        with contextlib.suppress(OSError):
            listener = listen(self._socket_path)
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = listener
            self._selector.register(listener, selectors.EVENT_READ, self._accept)

    # Requests

    def _accept(self) -> None:
        endpoint, _ = self._listener.accept()
        connection = Connection(endpoint)
        self._connections[endpoint.fileno()] = connection
        self._selector.register(endpoint, selectors.EVENT_READ, lambda: self._read(connection))

    def _read(self, connection: Connection) -> None:
        lines = connection.lines()
        if lines is None:
            del self._connections[connection.endpoint.fileno()]
            self._selector.unregister(connection.endpoint)
            connection.endpoint.close()
            return
        for line in lines:
            try:
                self._answer(json.loads(line), connection)
            except (ValueError, KeyError, TypeError) as error:
                # A command of another version may ask for what this one does not know.
                log_own(f"refused {line[:60]!r}…: {error!r}")
                connection.send({"refused": repr(error)})

    def _answer(self, request: dict[str, Any], connection: Connection) -> None:
        if request["op"] == "watch":
            connection.is_watching = True
            connection.send({"ok": True})
        else:
            self._operations[request["op"]](request, connection.send)

    def _status(self, _: dict[str, Any], reply: Reply) -> None:
        services = {name: service.to_json() for name, service in self._services.items()}
        reply({"pid": os.getpid(), "services": services})

    def _ensure(self, request: dict[str, Any], reply: Reply) -> None:
        spec = ProcessSpec.from_json(request["spec"])
        secrets = Secrets(**request["secrets"])
        service = self._services.get(spec.service)
        if service and service.phase == "running" and self._is_as_wanted(service, spec, secrets):
            service.spec, service.secrets = spec, secrets
            reply({"outcome": "unchanged", **service.to_json()})
            return
        if service and service.process:
            service.stop(lambda _: self._start(spec, secrets, reply, "replaced"))
        else:
            self._start(spec, secrets, reply, "started")

    def _is_as_wanted(self, service: Service, spec: ProcessSpec, secrets: Secrets) -> bool:
        if service.spec.fingerprint != spec.fingerprint:
            return False
        if service.secrets is None and service.process:
            # Adopted: only the process itself knows which secrets it was started with.
            return environment_of(service.process.pid).get(SECRETS_MARKER, secrets.digest) == secrets.digest
        return service.secrets == secrets

    def _start(self, spec: ProcessSpec, secrets: Secrets, reply: Reply, outcome: str) -> None:
        service = Service(spec, secrets, self._project_key, self._tell)
        self._services[spec.service] = service
        try:
            service.start()
        except OSError:
            outcome = "error"
        reply({"outcome": outcome, **service.to_json()})

    def _stop(self, request: dict[str, Any], reply: Reply) -> None:
        service = self._services.get(request["service"])
        if service is None:
            reply({"ok": True, "was_killed": False})
            return
        service.stop(lambda was_killed: reply({"ok": True, "was_killed": was_killed}))
        self._record_due = time.monotonic() + RECORD_DELAY_S

    def _end(self, _: dict[str, Any], reply: Reply) -> None:
        self._end_all()
        reply({"ok": True})

    def _end_all(self) -> None:
        self._is_ending = True
        for service in self._services.values():
            service.stop(lambda _: None)

    def _tell(self, event: dict[str, Any]) -> None:
        self._record_due = time.monotonic() + RECORD_DELAY_S
        for connection in self._connections.values():
            if connection.is_watching:
                connection.send(event)

    # What the next supervisor needs when this one is killed

    def _record(self) -> None:
        for service in self._services.values():
            if service.process and service.process_started is None:
                service.process_started = start_time(service.process.pid)
        services = {name: service.to_json() for name, service in self._services.items() if service.process}
        write_record(self._record_file, self._socket_path, services)

    def _take_over(self) -> None:
        """Adopt what an earlier supervisor recorded, and end what else it left."""
        earlier = read_record(self._record_file)
        write_record(self._record_file, self._socket_path, {} if earlier is None else earlier["services"])
        if earlier is None:
            return
        for name, known in earlier["services"].items():
            try:
                self._adopt(name, known)
            except (KeyError, TypeError) as error:
                log_own(f"cannot take over {name}, recorded by another version: {error!r}")
        adopted = [service.process.pid for service in self._services.values() if service.process]
        for line in stop_strays(self._project_key, adopted):
            log_own(line)
        log_own(f"took over {', '.join(self._services) or 'nothing'}")

    def _adopt(self, name: str, known: dict[str, Any]) -> None:
        if known["process_started"] is None:
            return
        process = find_orphan(known["pid"], known["process_started"], marker_value(self._project_key, name))
        if process:
            service = Service(ProcessSpec.from_json(known["spec"]), None, self._project_key, self._tell)
            service.adopt(Orphan(process), known["process_started"], known["log_start"])
            self._services[name] = service


def listen(socket_path: Path) -> socket.socket:
    """Listen on a socket that only this user can open, in place of an earlier one."""
    socket_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket_path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(socket_path))
    socket_path.chmod(0o600)
    listener.listen(64)
    return listener


def is_deleted(path: Path) -> bool:
    """Tell whether a path is gone for sure; one that cannot be looked at may come back."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def log_own(text: str) -> None:
    """Write to the supervisor's log, which is its stderr."""
    os.write(2, f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n".encode())
