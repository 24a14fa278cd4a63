"""`python -m thedata_cli.components.clickhouse.server`: serve one data directory until SIGTERM."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from thedata_cli.component_api.embedded_http import http_config, log
from thedata_cli.components.clickhouse.server.app import KEEP_ALIVE_S, Application
from thedata_cli.components.clickhouse.server.engine import Engine, write_config
from thedata_cli.components.clickhouse.server.errors import ClickHouseError
from thedata_cli.components.clickhouse.server.request import Login

PASSWORD_VARIABLE = "CLICKHOUSE_PASSWORD"
_GRACE_S = 2
_CLOSE_S = 3
_MEMORY_SHARE = 4


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    quarter_of_memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MEMORY_SHARE
    parser = argparse.ArgumentParser(
        prog="python -m thedata_cli.components.clickhouse.server",
        description="chDB behind ClickHouse's HTTP interface.",
        epilog=f"The password is read from the environment variable {PASSWORD_VARIABLE}.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8123, help="port to listen on (default: %(default)s)")
    parser.add_argument("--data-dir", type=Path, required=True, help="directory of the data; one process at a time")
    parser.add_argument("--user", required=True, help="the one account")
    parser.add_argument("--database", default="default", help="database of requests that name none; made when absent")
    parser.add_argument(
        "--max-memory-bytes",
        type=int,
        default=quarter_of_memory,
        help="what the engine may use in all (default: a quarter of the machine)",
    )
    parser.add_argument("--config-file", type=Path, help="an engine configuration in place of the one made here")
    options = parser.parse_args(arguments)
    if not os.environ.get(PASSWORD_VARIABLE):
        parser.error(f"the environment variable {PASSWORD_VARIABLE} is not set: there is no login without a password")
    return options


def main() -> int:
    """Open the engine, serve, and leave within seconds of SIGTERM."""
    options = parse_arguments()
    login = Login(options.user, os.environ.pop(PASSWORD_VARIABLE))
    try:
        config = options.config_file or write_config(options.data_dir, options.max_memory_bytes)
        engine = Engine(options.data_dir, config)
        engine.create_database(options.database)
    except (ClickHouseError, OSError) as error:
        log(f"error: cannot open {options.data_dir}: {error} Does another process have it open?")
        return 1
    application = Application(engine, login, options.database, log)
    serve(application, options.host, options.port, f"chDB {engine.version} (an embedded ClickHouse engine)")
    application.close()
    engine.close()
    log("stopped")
    # A thread that is stuck in the engine would keep a normal exit waiting; the data is safe as after `kill -9`.
    os._exit(0)


def serve(application: Application, host: str, port: int, what: str) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get a short grace."""
    config = http_config(
        application,
        grace_s=_GRACE_S,
        keep_alive_s=KEEP_ALIVE_S,
        host=host,
        port=port,
        is_worth_a_line=_is_worth_a_line,
    )
    # The HTTP server raises the signal again when it is done; the engine is still to be closed then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = _Server(config, lambda: log(f"{what} listens on http://{host}:{port}"))
    server.run()


def _is_worth_a_line(message: str) -> bool:
    # That is how a response with an error inside it is broken off on purpose; the error has been logged.
    return not message.startswith("ASGI callable returned without completing response")


class _Server(uvicorn.Server):
    """Says when it listens, and leaves by force when a stop takes too long."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_listening()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        leaving = threading.Timer(_GRACE_S + _CLOSE_S, os._exit, [0])
        leaving.daemon = True
        leaving.start()
        super().handle_exit(sig, frame)


if __name__ == "__main__":
    sys.exit(main())
