"""One real server for all tests of a worker; each test gets a database of its own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.components.clickhouse.server_process import ClickHouseServer, running_clickhouse
from tests.components.clickhouse.stack import Stack, connected

_numbers = itertools.count()


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse") / "data") as server:
        yield server


@pytest.fixture
async def stack(clickhouse: ClickHouseServer) -> AsyncIterator[Stack]:
    async with connected(clickhouse, database=f"test_{next(_numbers)}") as stack:
        yield stack


@pytest.fixture
async def shared(clickhouse: ClickHouseServer) -> AsyncIterator[Stack]:
    """The server's own database, for tests that leave nothing behind."""
    async with connected(clickhouse, database="default") as stack:
        yield stack
