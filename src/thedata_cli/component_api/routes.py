"""Routes: where a stream's messages and a view's rows go. The pure form of `pipelines/*.yaml`, references resolved."""

from __future__ import annotations

from dataclasses import dataclass

from thedata_cli.component_api.contracts import Contract
from thedata_cli.errors import SourcePosition
from thedata_cli.plan.resources import ResourceId


@dataclass(frozen=True)
class Route:
    """One stream to one target: a table, or a source of streaming SQL.

    A pipeline with two targets is two routes, so that a store that is down holds up only itself.

    Attributes:
        pipeline: Name of the pipeline.
        stream: The stream that is read.
        subject: Filter on the stream's subjects; empty means all of them.
        contract: What the messages must look like.
        target: The table or source that is written.
        dead_letter_stream: The stream that gets what the contract or the target does not accept.
        max_batch: Messages in one write, at most.
        max_wait_s: Seconds that a message waits for its batch to fill, at most.
        position: Where the pipeline names this target.
        ack_wait_s: Seconds after which the broker takes a message back from a worker that went silent.
    """

    pipeline: str
    stream: ResourceId
    subject: str
    contract: Contract
    target: ResourceId
    dead_letter_stream: str
    max_batch: int
    max_wait_s: float
    position: SourcePosition | None = None
    ack_wait_s: float = 30.0

    @property
    def name(self) -> str:
        """Name of the route, for people: that of its consumer."""
        return self.consumer

    @property
    def origin(self) -> ResourceId:
        """What is read: the stream."""
        return self.stream

    @property
    def max_unacknowledged(self) -> int:
        """Messages that the consumer must allow under way: two workers, each writing one batch and holding the next."""
        return 4 * self.max_batch

    @property
    def consumer(self) -> str:
        """Name of the durable consumer that keeps this route's progress.

        It names pipeline, component and target: `departures-questdb-departures`.
        """
        return f"{self.pipeline}-{self.target.component}-{self.target.name}"


@dataclass(frozen=True)
class ViewRoute:
    """One view to one table that is kept equal to it.

    Attributes:
        pipeline: Name of the pipeline.
        view: The view, or whatever else can be subscribed to, that is read.
        key: Columns whose values no two rows of the view share.
        table: The table that is written; it has the view's columns, `_version` and `_deleted`.
        max_wait_s: Seconds that a change waits for others to be written with it, at most.
        position: Where the pipeline names this table.
    """

    pipeline: str
    view: ResourceId
    key: tuple[str, ...]
    table: ResourceId
    max_wait_s: float
    position: SourcePosition | None = None

    @property
    def name(self) -> str:
        """Name of the route, for people: pipeline, engine and table."""
        return f"{self.pipeline}-{self.table.component}-{self.table.name}"

    @property
    def origin(self) -> ResourceId:
        """What is read: the view."""
        return self.view

    @property
    def target(self) -> ResourceId:
        """What is written: the table."""
        return self.table
