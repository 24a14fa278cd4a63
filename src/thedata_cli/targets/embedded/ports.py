"""Port numbers: the usual ones when they are free, else the next, and the same again at the next start."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thedata_cli.errors import TheDataError
from thedata_cli.targets.embedded.layout import explained_file_errors, private_runtime_dir, write_text

LAST_PORT = 65_535

PortNumbers = Mapping[str, Mapping[str, int]]
"""Service → the component's name of the port → number."""


@dataclass(frozen=True)
class PortMove:
    """A port that did not get the number one would expect."""

    service: str
    name: str
    expected: int
    number: int


def choose_ports(
    usual: PortNumbers, remembered: PortNumbers, held: PortNumbers, is_free: Callable[[int], bool]
) -> tuple[dict[str, dict[str, int]], list[PortMove]]:
    """Give every port a number.

    Args:
        usual: The ports of the stack, with their usual numbers.
        remembered: The numbers of an earlier start.
        held: The numbers that our own running services listen on.
        is_free: Whether a service could listen on a number now.

    Returns:
        The numbers, and the ones that are neither held, remembered nor usual.

    Example:
        >>> usual = {"nats": {"client": 4222}, "other": {"http": 4222}}
        >>> choose_ports(usual, {}, {}, lambda number: number != 4223)[0]
        {'nats': {'client': 4222}, 'other': {'http': 4224}}
    """
    wanted = [(service, name) for service, ports in usual.items() for name in ports]
    chosen: dict[tuple[str, str], int] = {}
    for source, must_be_free in ((held, False), (remembered, True), (usual, True)):
        for service, name in wanted:
            number = source.get(service, {}).get(name)
            if number is None or (service, name) in chosen or number in chosen.values():
                continue
            if not must_be_free or is_free(number):
                chosen[service, name] = number
    moves = []
    kept_clear = {number for ports in usual.values() for number in ports.values()}
    for service, name in wanted:
        if (service, name) not in chosen:
            expected = remembered.get(service, {}).get(name, usual[service][name])
            number = _next_free(usual[service][name], kept_clear | set(chosen.values()), is_free)
            chosen[service, name] = number
            moves.append(PortMove(service, name, expected, number))
    return {service: {name: chosen[service, name] for name in ports} for service, ports in usual.items()}, moves


def _next_free(usual: int, avoided: set[int], is_free: Callable[[int], bool]) -> int:
    for number in range(usual + 1, LAST_PORT + 1):
        if number not in avoided and is_free(number):
            return number
    raise TheDataError(f"no port from {usual} on is free on this machine")


def is_port_free(host: str, number: int) -> bool:
    """Tell whether a service could listen there now.

    Binding alone does not tell on systems that let an address be bound beside a wildcard listener, so it also knocks.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier process that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
            probe.listen(1)
        except OSError:
            return False
    with socket.socket(family, socket.SOCK_STREAM) as knock:
        knock.settimeout(0.2)
        return knock.connect_ex((host, number)) != 0


def load_ports(path: Path) -> dict[str, dict[str, int]] | None:
    """Return the remembered numbers; None when the stack was never started here."""
    try:
        numbers: dict[str, dict[str, int]] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return numbers


def save_ports(path: Path, numbers: PortNumbers) -> None:
    """Remember the numbers."""
    with explained_file_errors(path):
        write_text(path, json.dumps(numbers, indent=2) + "\n")


@contextlib.contextmanager
def reserved_elsewhere(project_key: str) -> Iterator[tuple[set[int], Callable[[PortNumbers], None]]]:
    """Keep two projects that start at the same moment from choosing the same numbers.

    Yields:
        The numbers that other projects have chosen and not yet bound, and a function that reserves our own. The list
        is locked until the block ends; the reservation lasts until `release_ports`, or until this process is gone.
    """
    with _reservations() as reservations:
        taken = {
            number
            for key, reservation in reservations.items()
            if key != project_key and _is_process(reservation["pid"])
            for number in reservation["ports"]
        }

        def reserve(numbers: PortNumbers) -> None:
            flat = [number for ports in numbers.values() for number in ports.values()]
            reservations[project_key] = {"pid": os.getpid(), "ports": flat}

        yield taken, reserve


def release_ports(project_key: str) -> None:
    """Give the reservation up: the services hold the ports themselves now."""
    with _reservations() as reservations:
        reservations.pop(project_key, None)


@contextlib.contextmanager
def _reservations() -> Iterator[dict[str, dict[str, Any]]]:
    path = private_runtime_dir("ports") / "reserved.json"
    with explained_file_errors(path), path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        try:
            reservations = json.loads(file.read() or "{}")
        except ValueError:
            reservations = {}
        yield reservations
        file.truncate(0)
        file.write(json.dumps(reservations))


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
