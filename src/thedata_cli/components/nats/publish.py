"""Publishing to streams: many messages in flight, each acknowledged, order kept."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence

from thedata_cli.component_api.live import OutgoingMessage
from thedata_cli.components.nats.connection import ApiError, Connection, mapped_errors
from thedata_cli.components.nats.monitoring import sickness
from thedata_cli.components.nats.wire import Wire, new_inbox
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError

MAX_IN_FLIGHT = 4000
"""Messages without acknowledgement at most; the server holds back 10,000 per stream and refuses more."""

_ACK_TIMEOUT_S = 30.0
_DRAIN_EVERY = 250
_SICK_HINT = "mend the cause, such as a full disk, then `thedata restart nats`; what was acknowledged is stored"
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_BLOCK_BYTES = len("NATS/1.0\r\nNats-Msg-Id: \r\n\r\n")


class Publisher:
    """Publishes over one connection; several calls may run at the same time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._wire: Wire | None = None
        self._inbox = ""
        self._calls = 0
        self._open: dict[bytes, _PublishCall] = {}

    async def publish(self, messages: Sequence[OutgoingMessage]) -> int:
        """Publish in order, wait for every acknowledgement, and return how many were new.

        Raises:
            StatementRejectedError: The first message that was refused, and why. Nothing was sent when one cannot be
                sent at all; when the server refused one, the others are stored.
            ServiceUnreachableError: The outcome of some messages is unknown.
        """
        try:
            return await self._publish(messages)
        except ServiceUnreachableError as error:
            # A stream that cannot write, as on a full disk, answers nothing; the reason is known to its health check.
            reason = await sickness(self._connection.endpoint)
            if reason:
                raise ServiceUnreachableError(f"NATS stores nothing: {reason}", hint=_SICK_HINT) from error
            raise

    async def _publish(self, messages: Sequence[OutgoingMessage]) -> int:
        wire = await self._subscribed()
        for message in messages:
            _check(message, wire.max_payload)
        self._calls += 1
        token = b"%d" % self._calls
        call = self._open[token] = _PublishCall(len(messages))
        try:
            await self._send(wire, messages, f"{self._inbox}.{self._calls}", call)
            await self._connection.wait_for(wire, call.until_answered(len(messages)), _ACK_TIMEOUT_S)
        finally:
            del self._open[token]
        if call.first_failure is not None:
            raise _refusal(messages[call.first_failure], call.failures[call.first_failure])
        return len(messages) - call.duplicates

    async def _send(self, wire: Wire, messages: Sequence[OutgoingMessage], inbox: str, call: _PublishCall) -> None:
        with mapped_errors(self._connection.address):
            for index, message in enumerate(messages):
                if index % _DRAIN_EVERY == 0:
                    await self._connection.wait_for(wire, self._has_room(wire, call, index), _ACK_TIMEOUT_S)
                headers = {**message.headers, "Nats-Msg-Id": message.id} if message.id else message.headers
                wire.publish(message.subject, message.payload, reply=f"{inbox}.{index}", headers=headers)

    async def _has_room(self, wire: Wire, call: _PublishCall, sent: int) -> None:
        if sent - call.answered > MAX_IN_FLIGHT - _DRAIN_EVERY:
            await call.until_answered(sent - MAX_IN_FLIGHT // 2)
        await wire.drain()

    async def _subscribed(self) -> Wire:
        wire = await self._connection.wire()
        if wire is not self._wire:
            self._inbox = new_inbox()
            with mapped_errors(self._connection.address):
                wire.subscribe(f"{self._inbox}.>", self._on_answer)
            self._wire = wire
        return wire

    def _on_answer(self, subject: bytes, _reply: bytes, _header: bytes, payload: bytes) -> None:
        _, token, index = subject.rsplit(b".", 2)
        call = self._open.get(token)
        if call is not None:
            call.take(int(index), payload)


class _PublishCall:
    """The acknowledgements of one call."""

    def __init__(self, count: int) -> None:
        self.answered = 0
        self.duplicates = 0
        self.failures: dict[int, bytes] = {}
        self._wanted = count
        self._reached = asyncio.Event()

    @property
    def first_failure(self) -> int | None:
        return min(self.failures, default=None)

    def take(self, index: int, answer: bytes) -> None:
        self.answered += 1
        if not answer or b'"error"' in answer:
            self.failures[index] = answer
        elif b'"duplicate"' in answer:
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


def _refusal(message: OutgoingMessage, answer: bytes) -> StatementRejectedError:
    if not answer:
        return StatementRejectedError(
            f"no stream takes the subject {message.subject!r}",
            hint="`thedata stream ls` shows the subjects of each stream; `thedata apply` creates the declared ones",
        )
    return ApiError(f"a message on {message.subject!r}", json.loads(answer)["error"])
