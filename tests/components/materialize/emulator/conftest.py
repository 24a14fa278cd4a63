"""One emulator for all tests of a worker; each test keeps to a schema of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from tests.components.materialize.emulator.lab import Lab
from tests.components.materialize.emulator_process import Emulator, running_emulator

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("materialize") / "data") as started:
        yield started


@pytest.fixture
def lab(emulator: Emulator) -> Iterator[Lab]:
    """A connection that works in a schema of its own."""
    schema = f"test_{next(_NUMBERS)}"
    with Lab.open(emulator, schema) as opened:
        yield opened
