"""An open connection to a component: the only impure half.

Abilities that only some components have are small protocols.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.routes import Route
from thedata_cli.health import CheckResult
from thedata_cli.plan.changes import Step
from thedata_cli.plan.resources import Resource


@runtime_checkable
class LiveComponent(Protocol):
    """A connected component. Every call has a time limit and raises errors of `errors.py` only."""

    async def version(self) -> str:
        """Return the version the running service reports."""

    async def normalise(self, desired: Sequence[Resource]) -> Sequence[Resource]:
        """Return the declared resources as the server would give them back (types and expressions in its own spelling).

        Raises:
            InvalidProjectError: The server refuses an expression; each with its place in the project's files.
        """

    async def observe(self) -> Sequence[Resource]:
        """Return every live resource of this component's kinds, foreign ones included, `managed_by` filled in."""

    async def execute(self, step: Step) -> None:
        """Send one step of a plan. No decisions here."""

    async def check(self) -> Sequence[CheckResult]:
        """Return the doctor's findings about the running service, with latency and version."""


# Streams


@dataclass(frozen=True)
class StreamMessage:
    """One message of a stream.

    Attributes:
        sequence: Place in the stream, from 1.
        time: When the server stored it, UTC.
    """

    stream: str
    subject: str
    sequence: int
    time: datetime
    headers: Mapping[str, str]
    payload: bytes


@dataclass(frozen=True)
class TailStart:
    """Where a tail begins; without `since`, `sequence` and `last`: only what comes from now on.

    Attributes:
        is_finite: Whether it ends after what was there when it began.
    """

    since: datetime | None = None
    sequence: int | None = None
    last: int | None = None
    is_finite: bool = False


@dataclass(frozen=True)
class ConsumerState:
    """Progress of one consumer.

    Attributes:
        lag: Messages not yet delivered.
        unacknowledged: Delivered, and not yet acknowledged.
        redelivered: Delivered more than once.
    """

    name: str
    lag: int
    unacknowledged: int
    redelivered: int


@dataclass(frozen=True)
class StreamState:
    """What a stream holds."""

    name: str
    subjects: Sequence[str]
    messages: int
    bytes: int
    first_sequence: int
    last_sequence: int
    first_time: datetime | None
    last_time: datetime | None
    consumers: Sequence[ConsumerState]
    config: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class CanTail(Protocol):
    """Reads streams without leaving a trace on the server."""

    async def streams(self) -> Sequence[StreamState]:
        """Return every stream of the account, sorted by name."""

    def tail(self, stream: str, start: TailStart, *, subject: str = "") -> AsyncGenerator[StreamMessage, None]:
        """Yield messages in order, for ever unless the start is finite."""


@dataclass(frozen=True)
class OutgoingMessage:
    """A message to publish; a non-empty `id` lets the broker drop a second copy."""

    subject: str
    payload: bytes
    id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class CanPublish(Protocol):
    """Publishes to streams, many messages in flight, each acknowledged by the broker."""

    async def publish(self, messages: Sequence[OutgoingMessage]) -> int:
        """Publish in order and wait until the broker has stored all of them.

        Returns:
            How many were new; the rest were duplicates by their id.

        Raises:
            StatementRejectedError: The broker refused a message (no stream has the subject, stream full).
            ServiceUnreachableError: The broker did not answer in time; messages may or may not be stored.
        """


# Pipelines


@dataclass(frozen=True)
class Delivery:
    """A message that a consumer got.

    Attributes:
        message: The message.
        deliveries: 1 the first time.
        handle: The broker's own token for acknowledging; opaque.
    """

    message: StreamMessage
    deliveries: int
    handle: Any


class Consumption(Protocol):
    """An open durable consumer."""

    async def fetch(self, *, max_messages: int, max_wait_s: float) -> Sequence[Delivery]:
        """Return what is there, waiting until `max_messages` or `max_wait_s`; may be empty."""

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker that these are done and never to be delivered again."""

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker that these are still being worked on."""


@runtime_checkable
class CanConsume(Protocol):
    """Delivers the messages of a route's durable consumer."""

    def consume(self, route: Route) -> AbstractAsyncContextManager[Consumption]:
        """Bind to the route's consumer, which `apply` created.

        Raises:
            ServiceUnreachableError: The broker, stream or consumer is not there (yet).
        """


@dataclass(frozen=True)
class Batch:
    """Rows of one write, all of one contract.

    Attributes:
        rows: Structs of the contract's decoder, `_sequence` set to the stream sequence.
        may_be_present: Sequences that an earlier attempt may have written; the writer must not write them twice. A row
            is there when its sequence, and its key and event time where the contract has them, are in the table:
            a stream that was made anew counts from 1 again, so that the sequence alone may be another message's.
    """

    contract: Contract
    rows: Sequence[Any]
    may_be_present: Sequence[int] = ()


@dataclass(frozen=True)
class RejectedRow:
    """A row that the store does not accept for a reason in the row itself."""

    sequence: int
    reason: str


class TableWriter(Protocol):
    """Writes batches into one table."""

    async def highest_sequence(self) -> int:
        """Return the highest `_sequence` in the table, 0 when it has none.

        A broker that was killed may deliver messages again as if it were the first time; the worker passes what is
        not above this number as `may_be_present`.

        Raises:
            ServiceUnreachableError: The store is down.
            StatementRejectedError: The table, or its sequence column, is missing.
        """

    async def write(self, batch: Batch) -> Sequence[RejectedRow]:
        """Write a batch; when it returns, the store has confirmed all rows but the returned ones.

        Raises:
            ServiceUnreachableError: The store is down or the outcome is unknown: try the same batch again later.
            StatementRejectedError: The store refuses for a reason outside the rows, such as a missing table.
        """


@runtime_checkable
class CanWrite(Protocol):
    """Takes rows from pipelines."""

    def open_writer(self, route: Route) -> AbstractAsyncContextManager[TableWriter]:
        """Open a writer for the route's target."""


# Queries


@dataclass(frozen=True)
class ResultColumn:
    """Name and engine type of one column of a result."""

    name: str
    type: str


class ResultStream(Protocol):
    """A running query: columns first, then blocks of rows; never all of them in memory."""

    @property
    def columns(self) -> Sequence[ResultColumn]:
        """Known as soon as the stream is open; empty for a statement without a result."""

    def blocks(self) -> AsyncIterator[Sequence[Sequence[Any]]]:
        """Yield blocks of rows, each rows × columns, column order as in the query, values as Python objects."""


@runtime_checkable
class CanQuery(Protocol):
    """Runs SQL."""

    def query(self, sql: str) -> AbstractAsyncContextManager[ResultStream]:
        """Run one statement.

        Raises:
            StatementRejectedError: With the engine's message, and line and column when it gives a position.
        """


@runtime_checkable
class CanExportParquet(Protocol):
    """Lets the engine itself write Parquet."""

    def export_parquet(self, sql: str) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of one Parquet file."""
