"""Publishes lines of input to a stream: checked, in order, and each one acknowledged by the broker.

Reading and checking go on while the broker stores; when it falls behind, reading waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from thedata_cli.component_api.live import CanPublish, OutgoingMessage
from thedata_cli.errors import InvalidMessageError
from thedata_cli.pipeline.input_lines import LineTooLongError
from thedata_cli.pipeline.outgoing import MessageMaker

_QUEUED_BLOCKS = 8
_LARGEST_BATCH = 20_000
_PACES_PER_SECOND = 10


@dataclass(frozen=True)
class PublishCounts:
    """How far it is.

    Attributes:
        published: New in the stream.
        duplicates: Already in the stream, by their message id.
        skipped: Broke the contract, and the user wanted to go on.
    """

    published: int = 0
    duplicates: int = 0
    skipped: int = 0

    @property
    def lines(self) -> int:
        """Lines of input that are dealt with."""
        return self.published + self.duplicates + self.skipped


class LinePublisher:
    """Publishes lines, one message each; empty lines are passed over.

    Args:
        maker: Makes the messages.
        broker: Stores them.
        rate: Messages per second, at most; None for as fast as it goes.
        skips_invalid: Go on after a line that breaks the contract, instead of stopping there.
        on_progress: Told after every batch that is stored.
        on_skipped: Told about every line that is left out.
    """

    def __init__(
        self,
        maker: MessageMaker,
        broker: CanPublish,
        *,
        rate: float | None = None,
        skips_invalid: bool = False,
        on_progress: Callable[[PublishCounts], None] = lambda _counts: None,
        on_skipped: Callable[[InvalidMessageError], None] = lambda _error: None,
    ) -> None:
        self._maker = maker
        self._broker = broker
        self._rate = rate
        self._skips_invalid = skips_invalid
        self._on_progress = on_progress
        self._on_skipped = on_skipped
        self._counts = PublishCounts()
        self._line = 0
        self._began = 0.0

    async def run(self, blocks: AsyncIterator[Sequence[bytes]]) -> PublishCounts:
        """Publish everything, and return when the broker has all of it.

        Raises:
            InvalidMessageError: A line breaks the contract. All lines before it are stored, none after it.
            StatementRejectedError: The broker refuses a message.
            ServiceUnreachableError: The broker is gone; some of the last messages may be stored or not.
        """
        self._began = time.monotonic()
        queue: asyncio.Queue[list[OutgoingMessage] | None] = asyncio.Queue(_QUEUED_BLOCKS)
        reading = asyncio.create_task(self._read(blocks, queue))
        try:
            while (batch := await _next_batch(queue)) is not None:
                await self._publish(batch)
            await reading
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, InvalidMessageError):
                await reading
        return self._counts

    async def _read(
        self, blocks: AsyncIterator[Sequence[bytes]], queue: asyncio.Queue[list[OutgoingMessage] | None]
    ) -> None:
        """Queue the messages of each block as they come, and None at the end, also when that is a mistake."""
        mistake: InvalidMessageError | None = None
        try:
            async for lines in blocks:
                messages: list[OutgoingMessage] = []
                try:
                    self._check(lines, messages)
                finally:
                    await queue.put(messages)
        except InvalidMessageError as error:
            mistake = error
        except LineTooLongError as error:
            mistake = InvalidMessageError(f"line {self._line + 1} {error}")
        await queue.put(None)
        if mistake:
            raise mistake

    def _check(self, lines: Sequence[bytes], messages: list[OutgoingMessage]) -> None:
        """Append the messages of a block, up to the first mistake."""
        make = self._maker.message
        for line in lines:
            self._line += 1
            payload = line.removesuffix(b"\r")
            if not payload.strip():
                continue
            try:
                messages.append(make(payload))
            except ValueError as error:
                self._mistake(payload, error)

    def _mistake(self, payload: bytes, error: ValueError) -> None:
        mistake = InvalidMessageError(
            f"line {self._line} {error}",
            hint="mend the line, or leave such lines out with --skip-invalid",
            detail=payload[:500].decode("utf-8", "backslashreplace"),
        )
        if not self._skips_invalid:
            raise mistake from error
        self._counts = replace(self._counts, skipped=self._counts.skipped + 1)
        self._on_skipped(mistake)

    async def _publish(self, batch: Sequence[OutgoingMessage]) -> None:
        size = max(1, int(self._rate / _PACES_PER_SECOND)) if self._rate else _LARGEST_BATCH
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            await self._keep_pace()
            new = await self._broker.publish(part)
            counts = self._counts
            self._counts = replace(
                counts, published=counts.published + new, duplicates=counts.duplicates + len(part) - new
            )
            self._on_progress(self._counts)

    async def _keep_pace(self) -> None:
        if self._rate:
            sent = self._counts.published + self._counts.duplicates
            await asyncio.sleep(max(0.0, self._began + sent / self._rate - time.monotonic()))


async def _next_batch(queue: asyncio.Queue[list[OutgoingMessage] | None]) -> list[OutgoingMessage] | None:
    """Return everything that is queued, at least one block; None at the end."""
    batch = await queue.get()
    while batch is not None and len(batch) < _LARGEST_BATCH and not queue.empty():
        more = queue.get_nowait()
        if more is None:
            queue.put_nowait(None)
            break
        batch = [*batch, *more]
    return batch
