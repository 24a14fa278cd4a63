"""`python -m thedata_cli.components.materialize.emulator`: serve one data directory until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from thedata_cli.component_api.embedded_http import http_config, log
from thedata_cli.components.materialize.emulator import EMULATED_VERSION
from thedata_cli.components.materialize.emulator.errors import EmulatorError
from thedata_cli.components.materialize.emulator.http_server import HttpServer
from thedata_cli.components.materialize.emulator.instance import Instance

_GRACE_S = 1
_KEEP_ALIVE_S = 75
_LEAVE_S = 15


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m thedata_cli.components.materialize.emulator",
        description=f"An emulator of Materialize {EMULATED_VERSION}, on PostgreSQL.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--sql-port", type=int, default=6875, help="port of the PostgreSQL protocol (default: %(default)s)"
    )
    parser.add_argument(
        "--http-port", type=int, default=6876, help="port of webhooks and health (default: %(default)s)"
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="directory of the data; one process at a time")
    return parser.parse_args(arguments)


class _HttpListener(uvicorn.Server):
    """Leaves signals to the process."""

    def install_signal_handlers(self) -> None:
        """Signals end the whole emulator, in its own order."""

    @property
    def port(self) -> int:
        return int(self.servers[0].sockets[0].getsockname()[1])


async def serve(options: argparse.Namespace) -> int:
    """Run until a signal, or until something that must run ends by itself."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    host = f"[{options.host}]" if ":" in options.host else options.host
    instance = Instance(options.data_dir, log)
    try:
        sockets = [_bind(options.host, options.http_port)]
        await instance.start(f"http://{host}:{options.http_port}")
        await instance.sql.listen(options.host, options.sql_port)
    except (EmulatorError, OSError) as error:
        log(f"error: cannot open {options.data_dir}: {error}")
        await instance.stop()
        return 1
    application = HttpServer(instance.catalog, instance.ingest, options.sql_port, log)
    http = _HttpListener(http_config(application, grace_s=_GRACE_S, keep_alive_s=_KEEP_ALIVE_S))
    serving = asyncio.create_task(http.serve(sockets=sockets))
    application.is_ready = True
    log(
        f"the emulator of Materialize {EMULATED_VERSION} listens: SQL on {host}:{options.sql_port}, HTTP on "
        f"{host}:{options.http_port}"
    )
    failing = asyncio.create_task(instance.failed())
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait([failing, stopped, serving], return_when=asyncio.FIRST_COMPLETED)
    has_failed = failing.done()
    if has_failed:
        log(f"error: {failing.result()}")
    failing.cancel()
    # Whatever hangs must not keep the process: what was acknowledged is on disk.
    asyncio.get_running_loop().call_later(_LEAVE_S, os._exit, 1)
    application.is_ready = False
    http.should_exit = True
    await instance.stop()
    await serving
    log("stopped")
    return 1 if has_failed else 0


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def main() -> int:
    """Serve, and leave within seconds of SIGTERM."""
    return asyncio.run(serve(parse_arguments()))


if __name__ == "__main__":
    sys.exit(main())
