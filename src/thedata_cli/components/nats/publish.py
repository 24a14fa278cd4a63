"""Publishing to streams: many messages in flight, each acknowledged, order kept."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence

from nats.aio.msg import Msg

from thedata_cli.component_api.live import OutgoingMessage
from thedata_cli.components.nats.connection import ApiError, Connection, DialledClient, mapped_errors
from thedata_cli.errors import StatementRejectedError

MAX_IN_FLIGHT = 4000
"""Messages without acknowledgement at most; the server holds back 10,000 per stream and refuses more."""

_ACK_TIMEOUT_S = 30.0
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_BLOCK_BYTES = len("NATS/1.0\r\nNats-Msg-Id: \r\n\r\n")


class Publisher:
    """Publishes over one connection; several calls may run at the same time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: DialledClient | None = None
        self._inbox = ""
        self._calls = 0
        self._open: dict[str, _PublishCall] = {}

    async def publish(self, messages: Sequence[OutgoingMessage]) -> int:
        """Publish in order, wait for every acknowledgement, and return how many were new.

        Raises:
            StatementRejectedError: The first message that was refused, and why. Nothing was sent when one cannot be
                sent at all; when the server refused one, the others are stored.
            ServiceUnreachableError: The outcome of some messages is unknown.
        """
        client = await self._subscribed()
        for message in messages:
            _check(message, client.max_payload)
        self._calls += 1
        token = str(self._calls)
        call = _PublishCall(len(messages))
        self._open[token] = call
        try:
            for index, message in enumerate(messages):
                if index - call.answered >= MAX_IN_FLIGHT:
                    await self._connection.wait_for(
                        client, call.until_answered(index - MAX_IN_FLIGHT // 2), _ACK_TIMEOUT_S
                    )
                await self._send(client, message, f"{self._inbox}.{token}.{index}")
            await self._connection.wait_for(client, call.until_answered(len(messages)), _ACK_TIMEOUT_S)
        finally:
            del self._open[token]
        if call.first_failure is not None:
            raise _refusal(messages[call.first_failure], call.failures[call.first_failure])
        return len(messages) - call.duplicates

    async def _send(self, client: DialledClient, message: OutgoingMessage, reply: str) -> None:
        headers = {**message.headers, "Nats-Msg-Id": message.id} if message.id else dict(message.headers)
        with mapped_errors(self._connection.address):
            await client.publish(message.subject, message.payload, reply=reply, headers=headers or None)

    async def _subscribed(self) -> DialledClient:
        client = await self._connection.client()
        if client is not self._client:
            self._inbox = client.new_inbox()
            with mapped_errors(self._connection.address):
                await client.subscribe(
                    f"{self._inbox}.>", cb=self._on_answer, pending_msgs_limit=0, pending_bytes_limit=0
                )
            self._client = client
        return client

    async def _on_answer(self, msg: Msg) -> None:
        _, token, index = msg.subject.rsplit(".", 2)
        call = self._open.get(token)
        if call is not None:
            call.take(int(index), msg)


class _PublishCall:
    """The acknowledgements of one call."""

    def __init__(self, count: int) -> None:
        self.answered = 0
        self.duplicates = 0
        self.failures: dict[int, Msg] = {}
        self._wanted = count
        self._reached = asyncio.Event()

    @property
    def first_failure(self) -> int | None:
        return min(self.failures, default=None)

    def take(self, index: int, msg: Msg) -> None:
        self.answered += 1
        if not msg.data or b'"error"' in msg.data:
            self.failures[index] = msg
        elif b'"duplicate"' in msg.data:
            self.duplicates += 1
        if self.answered >= self._wanted:
            self._reached.set()

    async def until_answered(self, count: int) -> None:
        self._wanted = count
        self._reached.clear()
        if self.answered < count:
            await self._reached.wait()


def _check(message: OutgoingMessage, max_payload: int) -> None:
    """Refuse what cannot be sent before anything is.

    The server would store a message under a pattern itself, and would end the connection over one that is too large.
    """
    subject = message.subject
    if not subject or any(map(str.isspace, subject)) or not all(subject.split(".")):
        raise StatementRejectedError(f"{subject!r} is not a subject", hint="write tokens between single dots")
    if not {"*", ">"}.isdisjoint(subject.split(".")):
        raise StatementRejectedError(f"{subject!r} is a pattern; a message has one subject")
    size = len(message.payload) + len(message.id) + _HEADER_BLOCK_BYTES
    for name, value in message.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise StatementRejectedError(f"{name!r} is not the name of a header", hint="use letters, digits and `-`")
        size += len(name) + len(value.encode()) + len(": \r\n")
    if size > max_payload:
        raise StatementRejectedError(
            f"a message of {size} bytes on {subject!r} is larger than the {max_payload} that the server takes",
            hint="raise max_payload under `components: nats:`",
        )


def _refusal(message: OutgoingMessage, answer: Msg) -> StatementRejectedError:
    if not answer.data:
        return StatementRejectedError(
            f"no stream takes the subject {message.subject!r}",
            hint="`thedata stream ls` shows the subjects of each stream; `thedata apply` creates the declared ones",
        )
    return ApiError(f"a message on {message.subject!r}", json.loads(answer.data)["error"])
