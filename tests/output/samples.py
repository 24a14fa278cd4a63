"""Results as literals: what the tests print, and what docs/output.md shows."""

from __future__ import annotations

import asyncio
import datetime
import io
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.console import Console

from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.live import ConsumerState, ResultColumn, StreamMessage, StreamState
from thedata_cli.component_api.views import ViewChange, ViewChanges
from thedata_cli.errors import ServiceUnreachableError, SourcePosition
from thedata_cli.health import CheckResult, CheckStatus
from thedata_cli.output.checks import DoctorReport
from thedata_cli.output.demo import Counts, DemoReport
from thedata_cli.output.row_format import RowFormat
from thedata_cli.output.rows import row_encoder, write_rows
from thedata_cli.output.services import DownReport
from thedata_cli.output.view_changes import FollowedView
from thedata_cli.plan.changes import Action, Change, Conflict, Plan, Step
from thedata_cli.plan.resources import Difference, ResourceId
from thedata_cli.project.blueprints import find_blueprint
from thedata_cli.project.model import Project
from thedata_cli.stack.live_stack import AppliedChange, ApplyReport, ChangeState
from thedata_cli.targets.embedded.states import ServicePhase, ServiceState
from thedata_cli.targets.status import ServiceStatus, StackStatus

NEW_YEAR = datetime.datetime(2013, 1, 1, 10, 15, tzinfo=datetime.UTC)


class Result:
    """A result of literal rows, in blocks of a given size."""

    def __init__(self, names: Sequence[str], rows: Sequence[Sequence[Any]], *, block: int = 1000) -> None:
        self.columns = [ResultColumn(name, "") for name in names]
        self._rows = rows
        self._block = block

    async def blocks(self) -> AsyncIterator[Sequence[Sequence[Any]]]:
        for start in range(0, len(self._rows), self._block):
            yield self._rows[start : start + self._block]


def written(format: RowFormat, result: Result) -> str:
    """Return everything that is written of a result."""
    sink = io.BytesIO()
    asyncio.run(write_rows(result, row_encoder(format, result.columns), sink))
    return sink.getvalue().decode()


def console(*, width: int = 100, is_terminal: bool = False) -> Console:
    """Return a console whose text `printed` reads back."""
    return Console(
        file=io.StringIO(),
        width=width,
        height=25,
        force_terminal=is_terminal,
        color_system="standard" if is_terminal else None,
        highlight=False,
        soft_wrap=not is_terminal,
    )


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


DELAYS = Result(
    ("carrier", "hour", "mean_delay", "flights", "note"),
    [
        ("UA", NEW_YEAR, 12.5, 58665, None),
        ("AA", NEW_YEAR + datetime.timedelta(hours=1), Decimal("8.10"), 32729, 'late, "again"'),
    ],
)

VALUES = Result(
    ("name", "value"),
    [
        ("decimal", Decimal("12345678901234567890.10")),
        ("integer", 2**127),
        ("not a number", float("nan")),
        ("bytes", b"\x00\xff"),
        ("uuid", UUID("5f0c7cfa-9c0a-4b3e-9a0e-0d3a8f1c2b4d")),
        ("date", datetime.date(2013, 1, 1)),
        ("array", [1, None, "a"]),
        ("map", {"at": NEW_YEAR, "pair": (1.5, True)}),
        ("null", None),
        ("empty text", ""),
    ],
)

DEPARTURES = Change(
    Action.CREATE,
    ResourceId("nats", "stream", "departures"),
    "declared, not found",
    (Step("$JS.API.STREAM.CREATE.departures", '{"name":"departures","subjects":["flights.departures.>"]}'),),
    position=SourcePosition(Path("streams/departures.yaml"), 2, 1),
)
DELAYS_TABLE = Change(
    Action.UPDATE,
    ResourceId("clickhouse", "table", "delays"),
    "ttl differs",
    (Step("ALTER TABLE flights.delays\n  MODIFY TTL hour + toIntervalDay(30)"),),
    (Difference("ttl", "hour + toIntervalDay(90)", "hour + toIntervalDay(30)"),),
    "rows older than 30 days",
    SourcePosition(Path("tables/delays.yaml"), 9, 6),
)
OLD = Change(
    Action.DELETE,
    ResourceId("nats", "stream", "old"),
    "no longer declared",
    (Step("$JS.API.STREAM.DELETE.old"),),
    loses="12 messages",
)
PLAN = Plan(
    (OLD, DEPARTURES, DELAYS_TABLE),
    (
        Conflict(
            ResourceId("questdb", "table", "weather"), "another", SourcePosition(Path("tables/weather.yaml"), 2, 1)
        ),
    ),
)
REPORT = ApplyReport(
    (
        AppliedChange(OLD, ChangeState.DONE),
        AppliedChange(
            DEPARTURES,
            ChangeState.FAILED,
            ServiceUnreachableError("nats at 127.0.0.1:4222 does not answer", hint="start it with `thedata up`"),
        ),
        AppliedChange(DELAYS_TABLE, ChangeState.NOT_TRIED),
    )
)

STREAM = StreamState(
    "departures",
    ["flights.departures.>"],
    336776,
    71234567,
    1,
    336776,
    NEW_YEAR,
    NEW_YEAR + datetime.timedelta(minutes=1),
    [ConsumerState("departures-questdb-departures", 5, 2, 0)],
    {"storage": "file", "max_age": 0},
)
EMPTY_STREAM = StreamState("dead-letters", ["dead-letters.>"], 0, 0, 1, 0, None, None, [])

MESSAGE = StreamMessage(
    "departures",
    "flights.departures.JFK",
    7,
    NEW_YEAR,
    {"Nats-Msg-Id": "AA|1"},
    b'{"carrier": "AA", "flight": 1,\n "share": 0.10}',
)
BINARY_MESSAGE = StreamMessage("departures", "flights.departures.JFK", 8, NEW_YEAR, {}, b"\x00\x1b[31m\xff")

FOLLOWED = FollowedView("delays", ("carrier", "hour", "late"))
FOLLOWED_BY_KEY = FollowedView("delays", ("carrier", "hour", "late"), ("carrier", "hour"))
CHANGES = ViewChanges(
    1357035360250,
    [ViewChange(("AA", NEW_YEAR, 3), 1), ViewChange(("UA", NEW_YEAR, 1), -2)],
)

DOCTOR = DoctorReport(
    {
        "machine": [
            CheckResult("machine.disk", CheckStatus.OK, "20.1 GB free", facts={"free_bytes": 20_100_000_000}),
            CheckResult("machine.docker", CheckStatus.SKIPPED, "not needed by the embedded target"),
        ],
        "project": [CheckResult("project.files", CheckStatus.OK, "valid")],
        "stack": [
            CheckResult(
                "questdb.version",
                CheckStatus.WARNING,
                "9.3.3 runs, 9.3.4 is wanted",
                "the service was started by an earlier release",
                "thedata restart questdb",
            ),
            CheckResult("nats.check", CheckStatus.FAILED, "cannot be checked", "nats does not answer", "thedata up"),
        ],
    }
)

FLIGHTS = find_blueprint("flights")

PROJECT = Project(
    name="flights",
    directory=Path("/srv/flights"),
    environment="dev",
    components={},
    contracts={"departures": Contract("departures", "flights.departures.>", ())},
)

DEMO = DemoReport(
    directory=Path("/srv/flights-demo"),
    project="flights",
    counts=(Counts("departures", 336776, {"clickhouse": 336776, "materialize": 336776, "questdb": 336776}),),
    seconds={"project": 0.31, "start": 2.5, "apply": 1.3, "publish": 9.7, "wait": 4.5, "load": 14.2, "queries": 0.3},
    published=336776,
    rows_per_s=47433.2,
    query_rows={"delays_by_carrier": 16},
    views=(Counts("recent_delays", 909, {"clickhouse": 909, "questdb": 909}),),
)

DOWN = DownReport((ServiceState("nats", ServicePhase.STOPPED),), {"nats": 131072})

STATUS = StackStatus(
    "flights",
    "embedded",
    [
        ServiceStatus(
            "nats",
            "healthy",
            "2.15.1",
            "2.15.1",
            {"client": 4222, "monitor": 8222},
            "http://127.0.0.1:8222",
            3725.5,
        ),
        ServiceStatus(
            "worker", "unhealthy", "0.1.0", "0.1.0", uptime_s=3.5, restarts=2, lag=15, detail="questdb is down"
        ),
    ],
)
