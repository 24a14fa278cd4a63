"""One server for all tests of QuestDB that do not stop it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest
from tests.components.questdb.cases import COMPONENT, drop_everything
from tests.components.questdb_process import QuestDBServer, running_questdb

from thedata_cli.components.questdb.live import QuestDBLive


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestDBServer]:
    with running_questdb(tmp_path_factory.mktemp("questdb")) as running:
        yield running


@pytest.fixture
async def live(server: QuestDBServer) -> AsyncIterator[QuestDBLive]:
    """A connection to a server without tables."""
    async with COMPONENT.connect(server.endpoint, "flights") as connected:
        await drop_everything(cast(QuestDBLive, connected))
        yield cast(QuestDBLive, connected)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "questdb"
