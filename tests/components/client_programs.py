"""Client programs in other languages: built once, run against a real server, and their checks counted."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

RUN_LIMIT_S = 90
_BUILD_LIMIT_S = 300


def require(*tools: str) -> None:
    """Skip without the language's tools, but never where everything has to be there."""
    missing = ", ".join(tool for tool in tools if shutil.which(tool) is None)
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"not installed: {missing}")
    if missing:
        pytest.skip(f"not installed: {missing}")


def build(pytestconfig: pytest.Config, name: str, sources: Path, command: Sequence[str], product: str) -> Path:
    """Build in a directory that the next run finds again; what is there already is quick to build."""
    assert pytestconfig.cache is not None
    directory = pytestconfig.cache.mkdir(name)
    for source in sources.iterdir():
        shutil.copy(source, directory)
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_BUILD_LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (directory / product).exists()
    return directory


def run_checks(command: Sequence[str], directory: Path, environment: Mapping[str, str], at_least: int) -> None:
    """Run a program that prints a line for each of its checks and ends with 0 when none has failed."""
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    passed = [line for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(passed) >= at_least, done.stdout
