"""The program as users run it: a process, with its exit code, stdout and stderr."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def clean_environment() -> Mapping[str, str]:
    """Return this process's environment without what steers the program."""
    return {name: value for name, value in os.environ.items() if not name.startswith("THEDATA_")}


def thedata(
    *arguments: str,
    cwd: Path,
    stdin: str | None = None,
    timeout: float = 170,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "thedata_cli", *arguments],
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**clean_environment(), **(environment or {})},
    )


def write_files(directory: Path, files: Mapping[str, str]) -> Path:
    """Write files by their paths in a directory; return the directory."""
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def make_project(directory: Path, blueprint: str) -> Path:
    """Make a project of a blueprint, with its defaults; return its directory."""
    made = thedata("init", str(directory), "--blueprint", blueprint, "--yes", cwd=directory.parent)
    assert made.returncode == 0, made.stderr
    return directory


@contextlib.contextmanager
def running_project(directory: Path) -> Iterator[Path]:
    """Have a project up and applied for the time of the block."""
    try:
        done = thedata("up", cwd=directory)
        assert done.returncode == 0, done.stdout + done.stderr
        yield directory
    finally:
        thedata("down", cwd=directory)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the program in an empty directory."""

    def _run(*arguments: str, cwd: Path = tmp_path, **options: Any) -> subprocess.CompletedProcess[str]:
        return thedata(*arguments, cwd=cwd, **options)

    return _run


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The flights project, up and applied, without events; tests of one worker process share it."""
    with running_project(make_project(tmp_path_factory.mktemp("cli") / "flights", "flights")) as project:
        yield project
