"""The HTTP side of an embedded process that we write ourselves: one way to configure its server, and to log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uvicorn


def log(line: str) -> None:
    """One line on stdout; never the text of a statement, which may hold secrets."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def http_config(
    application: Any,
    *,
    grace_s: int,
    keep_alive_s: int,
    host: str = "127.0.0.1",
    port: int = 8000,
    is_worth_a_line: Callable[[str], bool] = lambda _message: True,
) -> uvicorn.Config:
    """Return how an ASGI application is served; what its server has to say goes to `log`.

    Args:
        application: Called once for each request.
        grace_s: Seconds that requests under way get when the process is to stop.
        keep_alive_s: Seconds that an idle connection is kept.
        host: Address to listen on, where the server opens its own socket.
        port: Number to listen on, where the server opens its own socket.
        is_worth_a_line: Which messages of the server are logged.
    """
    import uvicorn

    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(_LogHandler(is_worth_a_line))
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    return uvicorn.Config(
        application,
        host=host,
        port=port,
        http="httptools",
        ws="none",
        proxy_headers=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=grace_s,
        timeout_keep_alive=keep_alive_s,
    )


class _LogHandler(logging.Handler):
    """What the HTTP server has to say, as one line each."""

    def __init__(self, is_worth_a_line: Callable[[str], bool]) -> None:
        super().__init__()
        self._is_worth_a_line = is_worth_a_line

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if self._is_worth_a_line(message):
            log(f"http: {message.splitlines()[0]}")
