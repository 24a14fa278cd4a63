"""`stream ls`, `info`, `pub`: the streams of the running stack; `stream tail` is in `stream_tail.py`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thedata_cli.cli import completion
from thedata_cli.cli.app import app
from thedata_cli.cli.options import EnvironmentName, Format, OutputFormat, ProjectDir
from thedata_cli.cli.run_command import run_command
from thedata_cli.errors import ExitCode, UsageError
from thedata_cli.output.console import Show

if TYPE_CHECKING:
    from thedata_cli.component_api.live import CanTail, StreamState
    from thedata_cli.pipeline.outgoing import MessageMaker
    from thedata_cli.project.model import Project
    from thedata_cli.stack.live_stack import LiveStack

stream_app = typer.Typer(help="Look into streams, and publish to them.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(stream_app, name="stream")

StreamName = Annotated[
    str,
    typer.Argument(
        metavar="STREAM", help="Name of the stream, as `stream ls` shows it.", autocompletion=completion.streams
    ),
]


@stream_app.command("ls")
@run_command
async def ls(
    show: Show,
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> ExitCode:
    """List the streams with their messages, size, consumers and lag. Reads only.

    Example: thedata stream ls
    """
    from thedata_cli.component_api.live import CanTail
    from thedata_cli.output.streams import print_streams, streams_document
    from thedata_cli.project.load import open_project

    async with connect_brokers(open_project(project, environment)) as live:
        streams = await live.with_ability(CanTail).streams()
    show.result(streams, human=print_streams, document=streams_document)
    return ExitCode.OK


@stream_app.command("info")
@run_command
async def info(
    show: Show,
    stream: StreamName,
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> ExitCode:
    """Show one stream: content, consumers, configuration. Reads only.

    Example: thedata stream info departures
    """
    from thedata_cli.component_api.live import CanTail
    from thedata_cli.output.streams import print_stream, stream_document
    from thedata_cli.project.load import open_project

    async with connect_brokers(open_project(project, environment)) as live:
        state = await state_of(live.with_ability(CanTail), stream)
    show.result(state, human=print_stream, document=stream_document)
    return ExitCode.OK


@stream_app.command("pub")
@run_command
async def pub(
    show: Show,
    stream: StreamName,
    message: Annotated[
        str | None, typer.Argument(metavar="MESSAGE", help="One message; without it, every line of stdin is one.")
    ] = None,
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    subject: Annotated[
        str,
        typer.Option("--subject", "-s", help="Subject of the messages; `{field}` stands for a field of the message."),
    ] = "",
    rate: Annotated[
        float | None, typer.Option("--rate", metavar="N", min=0.001, help="Messages per second, at most.")
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out lines that break the contract, and say which.")
    ] = False,
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> ExitCode:
    """Publish messages that fit the contract of their subject.

    The broker acknowledges each. A line that breaks its contract ends the command; everything before it is stored.
    Messages get their id from the contract's key, so publishing the same input again within the stream's duplicate
    window changes nothing.

    Example: python feeds/departures.py | thedata stream pub departures --subject 'flights.departures.{origin}'
    """
    import time

    from thedata_cli.component_api.live import CanPublish, CanTail
    from thedata_cli.output.publishing import PublishReport, print_publish, publish_document
    from thedata_cli.pipeline.input_lines import read_lines
    from thedata_cli.pipeline.publishing import LinePublisher
    from thedata_cli.project.load import open_project

    loaded = open_project(project, environment)
    async with connect_brokers(loaded) as live:
        maker = _message_maker(loaded, await state_of(live.with_ability(CanTail), stream), subject)
        if message is None and sys.stdin.isatty():
            show.note("one message a line; Ctrl-D ends the input")
        began = time.monotonic()
        with show.progress(f"publishing to {stream}", total=None) as on_progress:
            counts = await LinePublisher(
                maker,
                live.with_ability(CanPublish),
                rate=rate,
                skips_invalid=skip_invalid,
                on_progress=lambda counts: on_progress(counts.lines),
                on_skipped=lambda mistake: show.warning(f"skipped: {mistake.message}"),
            ).run(read_lines(0) if message is None else _one_line(message))
    report = PublishReport(counts.published, counts.duplicates, counts.skipped, time.monotonic() - began)
    show.result(report, human=print_publish, document=publish_document)
    return ExitCode.OK


@contextlib.asynccontextmanager
async def connect_brokers(project: Project) -> AsyncIterator[LiveStack]:
    """Connect to what has streams, and to nothing else: a table store that is down must not be in the way."""
    from thedata_cli.stack.live_stack import connect
    from thedata_cli.targets.choose import choose_target

    brokers = [key for key, component in project.components.items() if "streams" in component.declarations]
    endpoints = choose_target(project).endpoints()
    async with connect(project.name, project.components, endpoints, only=brokers) as live:
        yield live


async def state_of(log: CanTail, name: str) -> StreamState:
    """Return one stream.

    Raises:
        UsageError: There is none of that name.
    """
    from thedata_cli.project.suggestions import suggest

    streams = {stream.name: stream for stream in await log.streams()}
    if name not in streams:
        hint = f"{suggest(name, streams)} `thedata apply` creates the declared ones"
        raise UsageError(f"there is no stream {name!r}", hint=hint)
    return streams[name]


def _message_maker(project: Project, stream: StreamState, subject: str) -> MessageMaker:
    """Make messages for the wanted subject, else for the only one that the stream can mean."""
    from thedata_cli.component_api.subjects import overlap_any
    from thedata_cli.pipeline.outgoing import MessageMaker
    from thedata_cli.project.feeds import subject_pattern

    wanted = subject or _only_subject(project, stream)
    try:
        maker = MessageMaker(wanted, project.contracts.values())
    except ValueError as error:
        raise UsageError(f"--subject {error}") from error
    if not overlap_any(subject_pattern(wanted), stream.subjects):
        raise UsageError(f"stream {stream.name} has no subject {wanted!r}", hint=f"it has {', '.join(stream.subjects)}")
    return maker


def _only_subject(project: Project, stream: StreamState) -> str:
    """Return the subject of the stream when it has just one, or the one that all feeds of the stream use."""
    if len(stream.subjects) == 1 and not {"*", ">"} & set(stream.subjects[0]):
        return stream.subjects[0]
    used = {feed.subject for feed in project.feeds.values() if feed.stream == stream.name and feed.subject}
    if len(used) == 1:
        return used.pop()
    raise UsageError(
        f"the messages need a subject; stream {stream.name} has {', '.join(stream.subjects)}",
        hint="name one with --subject; `{field}` in it stands for a field of the message",
    )


async def _one_line(message: str) -> AsyncIterator[Sequence[bytes]]:
    yield [message.encode("utf-8", "surrogateescape")]
