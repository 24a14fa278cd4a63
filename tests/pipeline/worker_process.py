"""The worker as a process of its own, so that a test can kill it: `python -m tests.pipeline.worker_process FILE`.

FILE is JSON: the endpoint of each component (read anew for every connection), and the routes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast

from tests.pipeline import sqlite_store
from tests.pipeline.routes import route_to
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import LiveComponent
from thedata_cli.pipeline.worker import run_worker
from thedata_cli.project.registry import component_class


def connect_to(key: str, where: Any) -> AbstractAsyncContextManager[LiveComponent]:
    """Open a connection to a component under test."""
    if key == "sqlite":
        return cast("AbstractAsyncContextManager[LiveComponent]", sqlite_store.connect(Path(where)))
    connection = component_class(key)().connect(Endpoint(**where), "pipeline-tests")
    assert connection is not None
    return connection


def main(file: Path) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = json.loads(file.read_text())
    asyncio.run(
        run_worker(
            [route_to(**route) for route in settings["routes"]],
            lambda key: connect_to(key, json.loads(file.read_text())["endpoints"][key]),
            host="127.0.0.1",
            port=settings["port"],
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
