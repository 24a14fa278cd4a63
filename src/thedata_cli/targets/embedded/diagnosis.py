"""Why a service did not start: its exit, its log, and who has its port."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from thedata_cli.errors import ServiceStartError
from thedata_cli.targets.embedded.ports import is_port_free
from thedata_cli.targets.embedded.supervisor.log_files import OWN_LINE

READ_LIMIT_BYTES = 1 << 20

_FAILING = re.compile(
    r"\b(fatal|panic|error|err|exception|severe|critical|failed|failure|cannot|can't|could not|unable|denied|refused"
    r"|invalid|not found|no such|already in use|out of memory)\b|(Error|Exception)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class StartFailure:
    """Why one service is not healthy.

    Attributes:
        reason: In words that follow the service's name, such as "exited with code 1".
        log_line: Its first failing log line of this start; may be empty.
        hint: What mends it; empty for the usual advice to look at the log.
    """

    service: str
    reason: str
    log_line: str = ""
    hint: str = ""


def start_error(failures: Sequence[StartFailure]) -> ServiceStartError:
    """Return one error that names every service that failed, with its reason and its failing log line.

    Example:
        >>> error = start_error([StartFailure("nats", "exited with code 1", "[FTL] bad config")])
        >>> error.message, error.detail, error.hint
        ('nats exited with code 1', 'nats: [FTL] bad config', '`thedata logs nats` shows more')
    """
    hints = [failure.hint or f"`thedata logs {failure.service}` shows more" for failure in failures]
    return ServiceStartError(
        "; ".join(f"{failure.service} {failure.reason}" for failure in failures),
        hint="; ".join(dict.fromkeys(hints)),
        detail="\n".join(f"{failure.service}: {failure.log_line}" for failure in failures if failure.log_line),
    )


def first_failing_line(text: str) -> str:
    r"""Return the line of a log that says what went wrong; the last line when none looks like it.

    Indented lines belong to a stack trace, and the line above or below them says it better.

    Example:
        >>> first_failing_line("starting\n[FTL] could not open store\nbye")
        '[FTL] could not open store'
        >>> first_failing_line("Traceback (most recent call last):\n  File 'x'\n    raise ValueError\nValueError: no")
        'ValueError: no'
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith(OWN_LINE)]
    for line in lines:
        if not line[0].isspace() and _FAILING.search(line):
            return line
    return lines[-1].strip() if lines else ""


def read_from(log_file: Path, start: int) -> str:
    """Return what a log has from a byte on, at most the first MiB of it."""
    try:
        with log_file.open("rb") as file:
            file.seek(start)
            return file.read(READ_LIMIT_BYTES).decode(errors="replace")
    except OSError:
        return ""


def port_holder(host: str, number: int, own_pid: int | None = None) -> str:
    """Name the process that listens on a port, such as "pid 12 (nginx)".

    Args:
        host: Address that the service wants.
        number: The port.
        own_pid: The service's process, when it runs.

    Returns:
        Empty when nobody listens there, or the service itself; "another program" when the system does not tell.
    """
    import psutil

    if is_port_free(host, number):
        return ""
    unknown = "" if own_pid is not None else "another program"
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return unknown
    listeners = {
        connection.pid
        for connection in connections
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == number
    }
    if own_pid is not None and any(pid and _group(pid) == own_pid for pid in listeners):
        return ""
    known = min((pid for pid in listeners if pid), default=None)
    return f"pid {known} ({_program(known)})" if known else unknown


def taken_ports(host: str, ports: Mapping[str, int], own_pid: int | None) -> str:
    """Say which of a service's ports another process has; empty when none."""
    holders = ((number, port_holder(host, number, own_pid)) for number in ports.values())
    return ", ".join(f"port {number} is taken by {holder}" for number, holder in holders if holder)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _program(pid: int) -> str:
    import psutil

    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "unknown"
