"""Facts in, verdicts out; and one look at the machine that runs the tests."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import psutil
import pytest

from thedata_cli.health import CheckStatus, worst
from thedata_cli.targets.machine import MachineFacts, check_machine, gather

GIB = 2**30
GOOD = MachineFacts(
    system="Linux",
    architecture="x86_64",
    python=(3, 11, 7),
    cpus=2,
    memory_bytes=16 * GIB,
    available_bytes=8 * GIB,
    disk_free_bytes=100 * GIB,
    directory=Path("/srv/project"),
    is_writable=True,
    open_files=(1024, 1048576),
    java="",
    docker="",
    docker_error="Cannot connect to the Docker daemon",
)


def test_a_good_machine_has_no_problem() -> None:
    assert worst(check_machine(GOOD)) is CheckStatus.OK


@pytest.mark.parametrize(
    ("change", "name", "status", "words"),
    [
        ({"python": (3, 10, 1)}, "machine.python", CheckStatus.FAILED, "3.11 or newer"),
        ({"available_bytes": 3 * GIB}, "machine.memory", CheckStatus.WARNING, "4 GiB"),
        ({"available_bytes": GIB}, "machine.memory", CheckStatus.FAILED, "4 GiB"),
        ({"disk_free_bytes": 5 * GIB}, "machine.disk", CheckStatus.WARNING, "full"),
        ({"disk_free_bytes": GIB}, "machine.disk", CheckStatus.FAILED, "full"),
        ({"is_writable": False}, "machine.disk", CheckStatus.FAILED, "not writable"),
        ({"open_files": (256, 512)}, "machine.open_files", CheckStatus.FAILED, "files open"),
        ({"open_files": (256, 4096)}, "machine.open_files", CheckStatus.WARNING, "files open"),
        ({"system": "Windows", "architecture": "x86_64"}, "machine.platform", CheckStatus.WARNING, "Linux and macOS"),
    ],
)
def test_every_problem_has_a_cause_and_a_fix(
    change: dict[str, object], name: str, status: CheckStatus, words: str
) -> None:
    results = check_machine(dataclasses.replace(GOOD, **change))  # type: ignore[arg-type]
    [found] = [result for result in results if result.status is not CheckStatus.OK and result.name != "machine.docker"]
    assert (found.name, found.status) == (name, status)
    assert words in found.cause
    assert found.fix


def test_no_limit_of_open_files_is_fine() -> None:
    assert worst(check_machine(dataclasses.replace(GOOD, open_files=(-1, -1)))) is CheckStatus.OK


def test_the_facts_are_those_of_this_machine(tmp_path: Path) -> None:
    facts = gather(tmp_path / "not" / "there" / "yet")
    assert facts.memory_bytes == psutil.virtual_memory().total
    assert facts.cpus == os.cpu_count()
    assert abs(facts.disk_free_bytes - shutil.disk_usage(tmp_path).free) < GIB
    assert facts.is_writable
