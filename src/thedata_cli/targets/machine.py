"""What this machine offers a stack: facts are gathered at the edge, and judged by pure functions."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from thedata_cli.health import CheckResult, CheckStatus

_GIB = 2**30
_MINIMUM_PYTHON = (3, 11)
_MINIMUM_MEMORY_GIB = 2
_COMFORTABLE_MEMORY_GIB = 4
_MINIMUM_DISK_GIB = 2
_COMFORTABLE_DISK_GIB = 10
_MINIMUM_OPEN_FILES = 1024
_COMFORTABLE_OPEN_FILES = 16384
_SUPPORTED = {("Linux", "x86_64"), ("Linux", "arm64"), ("Darwin", "x86_64"), ("Darwin", "arm64")}


@dataclass(frozen=True)
class MachineFacts:
    """What was found on this machine.

    Attributes:
        python: Version, such as (3, 11, 7).
        memory_bytes: All of it, and what is available now.
        disk_free_bytes: On the file system of the project.
        open_files: Soft and hard limit of open files; -1 means unlimited.
        java: First line of `java -version`; empty when there is no Java.
        docker: Version of the engine that answers; empty when none does.
        docker_error: Why no engine answers; empty when one does, or when there is no client.
    """

    system: str
    architecture: str
    python: tuple[int, int, int]
    cpus: int
    memory_bytes: int
    available_bytes: int
    disk_free_bytes: int
    directory: Path
    is_writable: bool
    open_files: tuple[int, int]
    java: str
    docker: str
    docker_error: str


def gather(directory: Path) -> MachineFacts:
    """Look at this machine; takes a fraction of a second."""
    import resource

    import psutil

    memory = psutil.virtual_memory()
    place = next(path for path in (directory, *directory.resolve().parents) if path.exists())
    docker, docker_error = _docker()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MachineFacts(
        system=platform.system(),
        architecture={"aarch64": "arm64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine()),
        python=sys.version_info[:3],
        cpus=os.cpu_count() or 1,
        memory_bytes=memory.total,
        available_bytes=memory.available,
        disk_free_bytes=shutil.disk_usage(place).free,
        directory=directory,
        is_writable=os.access(place, os.W_OK),
        open_files=(soft, hard),
        java=_first_line(["java", "-version"]),
        docker=docker,
        docker_error=docker_error,
    )


def check_machine(facts: MachineFacts) -> Sequence[CheckResult]:
    """Judge the facts; pure."""
    return [
        _check_platform(facts),
        _check_python(facts),
        CheckResult("machine.cpu", CheckStatus.OK, f"{facts.cpus} CPUs", facts={"cpus": facts.cpus}),
        _check_memory(facts),
        _check_disk(facts),
        _check_open_files(facts),
        _check_java(facts),
        _check_docker(facts),
    ]


def _check_platform(facts: MachineFacts) -> CheckResult:
    summary = f"{facts.system} {facts.architecture}"
    if (facts.system, facts.architecture) in _SUPPORTED:
        return CheckResult("machine.platform", CheckStatus.OK, summary)
    return CheckResult(
        "machine.platform",
        CheckStatus.WARNING,
        summary,
        "thedata is tested on Linux and macOS, x86-64 and arm64",
        "run the stack in containers, or report what works",
    )


def _check_python(facts: MachineFacts) -> CheckResult:
    summary = "Python " + ".".join(map(str, facts.python))
    if facts.python >= _MINIMUM_PYTHON:
        return CheckResult("machine.python", CheckStatus.OK, summary)
    return CheckResult(
        "machine.python", CheckStatus.FAILED, summary, "thedata needs 3.11 or newer", "install Python 3.11"
    )


def _check_memory(facts: MachineFacts) -> CheckResult:
    total, available = facts.memory_bytes / _GIB, facts.available_bytes / _GIB
    summary = f"{total:.1f} GiB of memory, {available:.1f} GiB available"
    values: dict[str, object] = {"memory_bytes": facts.memory_bytes, "available_bytes": facts.available_bytes}
    if available >= _COMFORTABLE_MEMORY_GIB:
        return CheckResult("machine.memory", CheckStatus.OK, summary, facts=values)
    status = CheckStatus.WARNING if available >= _MINIMUM_MEMORY_GIB else CheckStatus.FAILED
    cause = f"a whole stack wants {_COMFORTABLE_MEMORY_GIB} GiB, and does not start below {_MINIMUM_MEMORY_GIB} GiB"
    return CheckResult("machine.memory", status, summary, cause, "end other programs, or take components out", values)


def _check_disk(facts: MachineFacts) -> CheckResult:
    free = facts.disk_free_bytes / _GIB
    summary = f"{free:.1f} GiB free in {facts.directory}"
    values: dict[str, object] = {"disk_free_bytes": facts.disk_free_bytes}
    if not facts.is_writable:
        return CheckResult(
            "machine.disk",
            CheckStatus.FAILED,
            summary,
            f"{facts.directory} is not writable by this user",
            f"chown it to this user, or work in another directory: chown -R $USER {facts.directory}",
            values,
        )
    if free >= _COMFORTABLE_DISK_GIB:
        return CheckResult("machine.disk", CheckStatus.OK, summary, facts=values)
    status = CheckStatus.WARNING if free >= _MINIMUM_DISK_GIB else CheckStatus.FAILED
    return CheckResult(
        "machine.disk", status, summary, "the stores stop when the disk is full", "free disk space", values
    )


def _check_open_files(facts: MachineFacts) -> CheckResult:
    soft, hard = (float("inf") if limit < 0 else limit for limit in facts.open_files)
    summary = f"open files limited to {_count(soft)} (can be raised to {_count(hard)})"
    values: dict[str, object] = {"open_files_soft": facts.open_files[0], "open_files_hard": facts.open_files[1]}
    if hard >= _COMFORTABLE_OPEN_FILES:
        return CheckResult("machine.open_files", CheckStatus.OK, summary, facts=values)
    status = CheckStatus.WARNING if hard >= _MINIMUM_OPEN_FILES else CheckStatus.FAILED
    cause = f"the stores keep many files open and want {_COMFORTABLE_OPEN_FILES}"
    return CheckResult("machine.open_files", status, summary, cause, f"ulimit -n {_COMFORTABLE_OPEN_FILES}", values)


def _count(limit: float) -> str:
    return "no limit" if limit == float("inf") else f"{limit:,.0f}"


def _check_java(facts: MachineFacts) -> CheckResult:
    found = facts.java or "none installed"
    return CheckResult("machine.java", CheckStatus.OK, f"{found}; not needed, QuestDB brings its own")


def _check_docker(facts: MachineFacts) -> CheckResult:
    if facts.docker:
        return CheckResult("machine.docker", CheckStatus.OK, f"engine {facts.docker}", facts={"version": facts.docker})
    reason = facts.docker_error or "no docker program on PATH"
    return CheckResult(
        "machine.docker", CheckStatus.SKIPPED, f"no engine answers ({reason}); not needed for this target"
    )


def _first_line(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).strip().splitlines()[0] if done.returncode == 0 else ""


def _docker() -> tuple[str, str]:
    """Return the engine's version, or why there is none."""
    if shutil.which("docker") is None:
        return "", ""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    if done.returncode == 0:
        return done.stdout.strip(), ""
    return "", (done.stderr.strip().splitlines() or ["no answer"])[-1]
