"""One server for all tests of a worker; each test keeps to a database of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.components.clickhouse.server_process import ClickHouseServer, running_clickhouse

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    directory: Path = tmp_path_factory.mktemp("clickhouse")
    with running_clickhouse(directory / "data") as started:
        yield started


@pytest.fixture
def http(server: ClickHouseServer) -> Iterator[httpx.Client]:
    """Plain HTTP, as curl would speak it."""
    with httpx.Client(base_url=server.url, auth=(server.user, server.password), timeout=30) as client:
        yield client


@pytest.fixture
def database(http: httpx.Client) -> Iterator[str]:
    name = f"test_{next(_NUMBERS)}"
    http.post("/", content=f"CREATE DATABASE {name}").raise_for_status()
    yield name
    http.post("/", content=f"DROP DATABASE {name}").raise_for_status()
