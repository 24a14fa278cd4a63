"""Feeds of a blueprint as programs: what they print in its directory, and the contracts they have to keep."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from thedata_cli.component_api.contracts import Contract
from thedata_cli.errors import Problem
from thedata_cli.project.contracts import read_contract

CLEAN = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
"""Leaves nothing behind in the blueprint."""


@dataclass(frozen=True)
class Feeds:
    """The feeds of one blueprint."""

    directory: Path

    @classmethod
    def of(cls, blueprint: str) -> Feeds:
        return cls(Path(__file__).parents[2] / "blueprints" / blueprint)

    def contract(self, name: str) -> Contract:
        problems: list[Problem] = []
        found = read_contract(self.directory, Path(f"contracts/{name}.yaml"), problems)
        assert found, problems
        return found

    def printed_by(self, *arguments: str) -> Sequence[bytes]:
        """Return the lines that Python prints with these arguments."""
        result = subprocess.run(
            [sys.executable, *arguments], cwd=self.directory, capture_output=True, check=True, env=CLEAN
        )
        assert not result.stderr, result.stderr
        return result.stdout.splitlines()

    def started(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *arguments], cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=CLEAN
        )

    def assert_ends_quietly_without_a_reader(self, *arguments: str) -> None:
        """A reader that has had enough ends the feed, and nothing is said about it."""
        with self.started(*arguments) as process:
            assert process.stdout
            assert process.stderr
            process.stdout.readline()
            process.stdout.close()
            complaints = process.stderr.read()
            assert complaints == b"", complaints
            status = process.wait(timeout=30)
            assert status == 0, status

    def assert_names_the_missing_package(self, feed: str, command: str) -> None:
        """A feed says how to install the package that it needs."""
        # -S and -I: a Python without its site-packages, so without the package.
        program = f"import runpy, sys; sys.path.insert(0, 'feeds'); runpy.run_path({feed!r}, run_name='__main__')"
        result = subprocess.run(
            [sys.executable, "-S", "-I", "-B", "-c", program],
            cwd=self.directory, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 1, result.stderr
        assert command in result.stderr, result.stderr
        assert "Traceback" not in result.stderr, result.stderr
