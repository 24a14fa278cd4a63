"""`stream tail`: the messages of a stream, or the changes of a view, as they come."""

from __future__ import annotations

import contextlib
import datetime
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thedata_cli.cli import completion
from thedata_cli.cli.options import EnvironmentName, Format, OutputFormat, ProjectDir
from thedata_cli.cli.run_command import run_command
from thedata_cli.cli.stream import connect_brokers, state_of, stream_app
from thedata_cli.errors import ExitCode, UsageError
from thedata_cli.output.console import Show

if TYPE_CHECKING:
    from thedata_cli.component_api.live import TailStart
    from thedata_cli.project.model import Project

StreamName = Annotated[
    str | None,
    typer.Argument(
        metavar="STREAM", help="Name of the stream, as `stream ls` shows it.", autocompletion=completion.streams
    ),
]
ViewName = Annotated[
    str,
    typer.Option(
        "--view",
        metavar="NAME",
        help="Follow the changes of this view, declared in views/.",
        autocompletion=completion.views,
    ),
]
Since = Annotated[
    str, typer.Option("--since", metavar="AGE", help="Begin that long ago (`5m`), or at a time in RFC 3339.")
]
FromSequence = Annotated[int | None, typer.Option("--from-seq", metavar="N", min=1, help="Begin at this sequence.")]
Last = Annotated[int | None, typer.Option("--last", metavar="N", min=1, help="Begin with the last N.")]
Subject = Annotated[str, typer.Option("--subject", "-s", help="Only these subjects; may have `*` and `>`.")]
Headers = Annotated[bool, typer.Option("--headers", help="Also print the headers of each message.")]
Snapshot = Annotated[bool, typer.Option("--snapshot", help="Begin with the view as it is.")]
Key = Annotated[
    list[str] | None,
    typer.Option("--key", metavar="COLUMNS", help="Columns that identify a row of the view, `a,b`; repeatable."),
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", metavar="N", min=1, help="End after N.")]
NoFollow = Annotated[bool, typer.Option("--no-follow", help="End after what is there now.")]


@stream_app.command("tail")
@run_command
async def tail(
    show: Show,
    stream: StreamName = None,
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    view: ViewName = "",
    since: Since = "",
    from_seq: FromSequence = None,
    last: Last = None,
    subject: Subject = "",
    headers: Headers = False,
    snapshot: Snapshot = False,
    key: Key = None,
    limit: Limit = None,
    no_follow: NoFollow = False,
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> ExitCode:
    """Print the messages of a stream, or the changes of a view, as they come. Reads only.

    Begins now, or at an earlier place; goes on until Ctrl-C unless told otherwise, and leaves no trace on the server.
    Rows come into a view with + and leave it with -; with --key, a row that changes is told once; with --no-follow, it
    is the view as it is. With --output json, each message or change is one line of JSON.

    Example: thedata stream tail departures --last 5 --no-follow --output json

    Example: thedata stream tail --view recent_delays --key carrier,origin,hour
    """
    from thedata_cli.cli.view_tail import ViewTail, find_view, read_key, tail_view
    from thedata_cli.project.load import open_project

    of_streams = {"--since": since, "--from-seq": from_seq, "--last": last, "--subject": subject, "--headers": headers}
    if view:
        _refuse(of_streams, "is for streams, not for views")
        if stream is not None:
            raise UsageError(f"stream {stream} and view {view} are two things to follow", hint="give one of them")
        wanted = ViewTail(read_key(key or ()), snapshot, limit, is_finite=no_follow)
        loaded = open_project(project, environment)
        await tail_view(show, loaded, find_view(loaded, view), wanted)
    else:
        _refuse({"--snapshot": snapshot, "--key": key}, "is for views", hint="name a view with --view")
        if stream is None:
            raise UsageError("give a STREAM, or a view with --view", hint="`thedata stream ls` lists the streams")
        start = _tail_start(since, from_seq, last, is_finite=no_follow)
        loaded = open_project(project, environment)
        await _tail_stream(show, loaded, stream, start, subject=subject, limit=limit, has_headers=headers)
    return ExitCode.OK


async def _tail_stream(
    show: Show, project: Project, stream: str, start: TailStart, *, subject: str, limit: int | None, has_headers: bool
) -> None:
    from thedata_cli.cli.closed_pipe import ended_by_closed_pipe
    from thedata_cli.component_api.live import CanTail
    from thedata_cli.output.messages import MessageLines, PrettyMessages

    printer = MessageLines(sys.stdout.buffer) if show.is_json else PrettyMessages(show.stdout, with_headers=has_headers)
    async with connect_brokers(project) as live:
        log = live.with_ability(CanTail)
        await state_of(log, stream)
        with ended_by_closed_pipe():
            async with contextlib.aclosing(log.tail(stream, start, subject=subject)) as messages:
                count = 0
                async for message in messages:
                    printer.print(message)
                    count += 1
                    if count == limit:
                        break


def _refuse(options: Mapping[str, object], reason: str, *, hint: str = "leave it out") -> None:
    """Refuse options that were given and have no meaning here."""
    for option, value in options.items():
        if value:
            raise UsageError(f"{option} {reason}", hint=hint)


def _tail_start(since: str, from_seq: int | None, last: int | None, *, is_finite: bool) -> TailStart:
    from thedata_cli.component_api.live import TailStart

    if sum(bool(option) for option in (since, from_seq, last)) > 1:
        raise UsageError("--since, --from-seq and --last say different beginnings", hint="give one of them")
    return TailStart(_moment(since) if since else None, from_seq, last, is_finite)


def _moment(text: str) -> datetime.datetime:
    """Return the moment that an age or a time means; times without an offset are in UTC."""
    from thedata_cli.component_api.units import parse_duration

    try:
        return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since {text!r} is no age and no time", hint="write `5m`, `1h30m` or `2013-01-01T10:00:00Z`"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
