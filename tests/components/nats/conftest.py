"""One server for all tests of NATS that do not stop it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest
from tests.components.nats.cases import COMPONENT, delete_streams
from tests.components.nats_process import NatsServer, running_nats

from thedata_cli.components.nats.live import NatsLive


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture
async def live(server: NatsServer) -> AsyncIterator[NatsLive]:
    """A connection to a server without streams."""
    async with COMPONENT.connect(server.endpoint, "flights") as connected:
        await delete_streams(cast(NatsLive, connected))
        yield cast(NatsLive, connected)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that the test may stop."""
    with running_nats(tmp_path) as running:
        yield running
