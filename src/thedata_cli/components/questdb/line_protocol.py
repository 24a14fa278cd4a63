"""The line protocol over HTTP: requests that are all or nothing, and every refusal as one of ours.

The client of the vendor writes the lines: measured against an encoder of our own in Python it takes a third of the time
per row. A request is one transaction, however many rows and partitions it has, and the server names the first line it
does not accept. Confirmed means that the rows are in the write-ahead log, which survives a crash of the server; queries
see them a moment later.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.components.questdb.login import PASSWORD, USER
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError

if TYPE_CHECKING:
    from questdb import Sender
    from questdb._client import Buffer

_REQUEST_LIMIT_MS = 30_000
_REQUEST_BYTES = 2**30
_OUTSIDE_THE_ROW = ("table does not exist", "creating new columns is disabled", "creating new tables is disabled")

P = ParamSpec("P")
R = TypeVar("R")


class LineRejectedError(Exception):
    """The server does not accept one line of a request, and so took none of it.

    Attributes:
        line: Its place in the request, from 0; None when the server does not say.
    """

    def __init__(self, reason: str, line: int | None) -> None:
        super().__init__(reason)
        self.line = line


@contextlib.contextmanager
def open_sender(endpoint: Endpoint, *, has_decimals: bool = False) -> Iterator[Sender]:
    """Open a connection for writing.

    Args:
        endpoint: The server.
        has_decimals: Whether decimal numbers are written, which only the newest version of the protocol has.
    """
    import questdb
    from questdb import Protocol, Sender

    # It warns of many connections within a short time, which is what the start of many pipelines is.
    questdb.WARN_HIGH_RECONNECTS = False  # type: ignore[attr-defined]
    sender = Sender(
        Protocol.Http,
        endpoint.host,
        endpoint.ports["http"],
        username=USER,
        password=endpoint.secrets.get(PASSWORD, ""),
        auto_flush=False,
        # The worker decides when to try again; a retry down here would hide how long a store has been away.
        retry_timeout=0,
        request_timeout=_REQUEST_LIMIT_MS,
        protocol_version=3 if has_decimals else 2,
        max_buf_size=_REQUEST_BYTES,
    )
    sender.establish()  # type: ignore[no-untyped-call]
    try:
        yield sender
    finally:
        sender.close(flush=False)


def send(sender: Sender, buffer: Buffer) -> None:
    """Send one request, and wait until the server has confirmed it.

    Raises:
        LineRejectedError: The server does not accept a line.
        StatementRejectedError: It refuses for a reason outside the rows, such as a missing table.
        ServiceUnreachableError: It is down, or what it did is unknown.
    """
    from questdb import QuestDBError, QuestDBErrorCode

    try:
        sender.flush(buffer)
    except QuestDBError as error:
        if error.code is QuestDBErrorCode.ServerFlushError:
            raise _refusal(str(error)) from error
        raise _outcome_unknown(str(error), is_login=error.code is QuestDBErrorCode.AuthError) from error


async def to_the_end(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a write in a thread; a cancelled caller waits, because the sender must not be closed under it."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _refusal(text: str) -> Exception:
    """Tell a bad row, by its place in the request, from a bad table and from a server in trouble."""
    try:
        answer = json.loads(text[text.index("{") :])
        code, message, line = answer["code"], str(answer["message"]), answer.get("line")
    except (ValueError, KeyError, TypeError):
        return ServiceUnreachableError(f"QuestDB did not take the rows: {text}")
    reason = message.splitlines()[-1].split(": ", 1)[-1] if line else message
    if any(words in message for words in _OUTSIDE_THE_ROW):
        return StatementRejectedError(f"QuestDB: {reason}", hint="bring the table up to date with `thedata apply`")
    if code == "invalid":
        return LineRejectedError(reason, line - 1 if isinstance(line, int) else None)
    return ServiceUnreachableError(f"QuestDB did not take the rows: {message}")


def _outcome_unknown(text: str, *, is_login: bool) -> ServiceUnreachableError:
    if is_login:
        return ServiceUnreachableError(f"QuestDB refuses the login of user `{USER}`: {text}")
    return ServiceUnreachableError(f"QuestDB does not answer: {text}", hint="start it with `thedata up`")
