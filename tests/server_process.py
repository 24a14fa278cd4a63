"""Server processes of tests: started on free ports, waited for over HTTP, and stopped."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path


def says_200(answer: http.client.HTTPResponse) -> bool | None:
    """Take any other answer for one of a server that is not ready yet."""
    return True if answer.status == 200 else None


@dataclass(frozen=True)
class Probe:
    """What a server is asked until it is ready.

    Attributes:
        path: The path of the request.
        within_s: How long a start may take.
        judge: Whether an answer is one of a ready server; None to ask again.
    """

    path: str
    within_s: float
    judge: Callable[[http.client.HTTPResponse], bool | None] = says_200

    def finds_ready(self, process: subprocess.Popen[bytes], port: int) -> bool:
        """Ask until there is a verdict; a process that ends, or takes too long, is not ready."""
        deadline = time.monotonic() + self.within_s
        while time.monotonic() < deadline and process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", self.path)
                verdict = self.judge(connection.getresponse())
            except OSError:
                verdict = None
            finally:
                connection.close()
            if verdict is not None:
                return verdict
            # The pause keeps the loop from taking the CPU that the server needs.
            time.sleep(0.02)
        return False


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def spawn(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a process, with more variables than this one's, that appends what it says to a file."""
    with log.open("ab") as output:
        return subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=output, stderr=output)


def start_on_free_ports(
    count: int,
    command_on: Callable[[Sequence[int]], Sequence[str]],
    probe: Probe,
    log: Path,
    *,
    stop_within_s: float,
    environment: Mapping[str, str] | None = None,
) -> tuple[subprocess.Popen[bytes], Sequence[int]]:
    """Start a server and wait until it is ready at the last of its ports; others where one was taken meanwhile."""
    for _ in range(3):
        ports = free_ports(count)
        process = spawn(command_on(ports), log, environment)
        if probe.finds_ready(process, ports[-1]):
            return process, ports
        stop(process, stop_within_s)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


def stop(process: subprocess.Popen[bytes], within_s: float) -> None:
    """Stop the process, by force when it does not obey."""
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
