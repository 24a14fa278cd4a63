from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.targets.embedded.lab import Lab


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    project_dir = tmp_path / "project"
    project_dir.mkdir()
    lab = Lab(project_dir)
    yield lab
    if project_dir.exists():
        await lab.down(lab.target())
    leftovers = lab.processes()
    for process in leftovers:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert leftovers == []
