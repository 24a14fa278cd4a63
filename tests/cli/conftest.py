"""The program as users run it: a process, with its exit code, stdout and stderr."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def thedata(
    *arguments: str,
    cwd: Path,
    stdin: str | None = None,
    timeout: float = 170,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, without a terminal."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("THEDATA_")}
    return subprocess.run(
        [sys.executable, "-m", "thedata_cli", *arguments],
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**clean, **(environment or {})},
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the program in an empty directory."""

    def _run(*arguments: str, cwd: Path = tmp_path, **options: Any) -> subprocess.CompletedProcess[str]:
        return thedata(*arguments, cwd=cwd, **options)

    return _run


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The flights project, up and applied, without events; tests of one worker process share it."""
    project = tmp_path_factory.mktemp("cli") / "flights"
    made = thedata("init", str(project), "--blueprint", "flights", "--yes", cwd=project.parent)
    assert made.returncode == 0, made.stderr
    started = thedata("up", cwd=project)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield project
    finally:
        thedata("down", cwd=project)
