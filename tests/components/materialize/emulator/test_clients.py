"""Client programs in other languages, each run against the real emulator with its real driver."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.components.materialize.emulator.lab import Lab

pytestmark = [pytest.mark.live, pytest.mark.clients]

_PROGRAMS = Path(__file__).parent / "clients"
_BUILD_LIMIT_S = 300
_RUN_LIMIT_S = 90


def _require(*tools: str) -> None:
    """Skip without the language's tools, but never where everything has to be there."""
    missing = ", ".join(tool for tool in tools if shutil.which(tool) is None)
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"not installed: {missing}")
    if missing:
        pytest.skip(f"not installed: {missing}")


def _build(pytestconfig: pytest.Config, language: str, command: Sequence[str], product: str) -> Path:
    """Build in a directory that the next run finds again; what is there already is quick to build."""
    assert pytestconfig.cache is not None
    directory = pytestconfig.cache.mkdir(f"materialize-{language}")
    for source in (_PROGRAMS / language).iterdir():
        shutil.copy(source, directory)
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_BUILD_LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (directory / product).exists()
    return directory


def _run_checks(lab: Lab, command: Sequence[str], directory: Path, at_least: int) -> None:
    environment = os.environ | {
        "MATERIALIZE_ADDRESS": f"{lab.emulator.host}:{lab.emulator.sql_port}",
        "MATERIALIZE_SCHEMA": lab.schema,
    }
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=_RUN_LIMIT_S, check=False
    )
    passed = [line for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(passed) >= at_least, done.stdout


@pytest.mark.timeout(400)
def test_pgx_and_lib_pq(lab: Lab, pytestconfig: pytest.Config) -> None:
    _require("go")
    directory = _build(pytestconfig, "go", ["go", "build", "-o", "check", "."], "check")
    _run_checks(lab, [str(directory / "check")], directory, at_least=37)


@pytest.mark.timeout(400)
def test_the_jdbc_driver(lab: Lab, pytestconfig: pytest.Config) -> None:
    _require("java", "mvn")
    copy = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    directory = _build(pytestconfig, "java", copy, "lib/postgresql-42.7.4.jar")
    _run_checks(lab, ["java", "-cp", "lib/*", "Check.java"], directory, at_least=28)
