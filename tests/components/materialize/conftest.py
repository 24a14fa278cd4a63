"""One emulator for all tests of a worker; each test finds it empty."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.components.materialize.emulator_process import Emulator, running_emulator
from tests.components.materialize.stack import Stack, connected


@pytest.fixture(scope="session")
def materialize(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("materialize") / "data") as emulator:
        yield emulator


@pytest.fixture
async def stack(materialize: Emulator, tmp_path: Path) -> AsyncIterator[Stack]:
    async with connected(materialize, tmp_path) as stack:
        try:
            yield stack
        finally:
            await stack.clear()
