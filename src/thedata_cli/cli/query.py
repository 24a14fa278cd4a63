"""`query`: runs SQL in one engine of the running stack and prints the result as it comes."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thedata_cli.cli import completion
from thedata_cli.cli.app import app
from thedata_cli.cli.options import EnvironmentName, ProjectDir
from thedata_cli.cli.run_command import run_command
from thedata_cli.errors import ExitCode, UsageError
from thedata_cli.output.console import Show
from thedata_cli.output.row_format import RowFormat

if TYPE_CHECKING:
    from thedata_cli.cli.query_source import QuerySource
    from thedata_cli.stack.live_stack import LiveStack

_SHORTEST_INTERVAL_S = 0.1


@app.command()
@run_command
async def query(
    show: Show,
    engine: Annotated[
        str,
        typer.Argument(
            metavar="ENGINE", help="Engine that runs it, such as clickhouse.", autocompletion=completion.engines
        ),
    ] = "",
    sql: Annotated[str | None, typer.Argument(metavar="SQL", help="One statement.")] = None,
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="Read the SQL from a file; `-` is stdin.")
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            "--name",
            "-n",
            metavar="NAME",
            help="Run a query of the project's queries/; it knows its engine.",
            autocompletion=completion.queries,
        ),
    ] = "",
    output: Annotated[
        RowFormat, typer.Option("--format", "--output", "-o", help="How the rows are written.")
    ] = RowFormat.TABLE,
    watch: Annotated[
        str, typer.Option("--watch", "-w", metavar="INTERVAL", help="Run it again and again, such as every `2s`.")
    ] = "",
    chart: Annotated[bool, typer.Option("--chart", help="Draw a chart of the result instead of its rows.")] = False,
    chart_spec: Annotated[
        str, typer.Option("--chart-spec", metavar="SPEC", help="Draw this chart, such as `bar x=carrier y=delay`.")
    ] = "",
) -> ExitCode:
    """Run SQL in one engine of the stack; rows are written as they come.

    Example: thedata query clickhouse "select carrier, count() from departures group by carrier" --chart
    """
    from thedata_cli.cli.query_source import find_query
    from thedata_cli.project.load import open_project
    from thedata_cli.stack.live_stack import connect
    from thedata_cli.targets.choose import choose_target

    show.is_json = output in (RowFormat.JSON, RowFormat.JSONL)
    interval_s = _interval(watch) if watch else None
    is_chart = chart or bool(chart_spec)
    _refuse_misfits(output, is_watched=bool(watch), is_chart=is_chart)
    loaded = open_project(project, environment)
    source = find_query(loaded, engine=engine, sql=sql, file=file, name=name)
    endpoints = choose_target(loaded).endpoints()
    async with connect(loaded.name, loaded.components, endpoints, only=[source.engine]) as live:
        run = _runner(show, live, source, output, chart=(chart_spec or source.chart) if is_chart else None)
        if interval_s is None:
            _note(show, await run())
        else:
            await _repeat(run, show, interval_s)
    return ExitCode.OK


def _interval(text: str) -> float:
    from thedata_cli.component_api.units import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--watch {error}") from error
    if seconds < _SHORTEST_INTERVAL_S:
        raise UsageError(f"--watch {text} is too often", hint=f"the shortest interval is {_SHORTEST_INTERVAL_S} s")
    return seconds


def _refuse_misfits(format: RowFormat, *, is_watched: bool, is_chart: bool) -> None:
    if is_chart and format is not RowFormat.TABLE:
        raise UsageError(f"a chart is drawn in the terminal, not written as {format}", hint="leave --format out")
    if format is RowFormat.PARQUET:
        if is_watched:
            raise UsageError("Parquet is one file and cannot be written again and again", hint="use --format jsonl")
        if sys.stdout.isatty():
            raise UsageError("Parquet is binary and no text for a terminal", hint="send it to a file: > result.parquet")


def _runner(
    show: Show, live: LiveStack, source: QuerySource, format: RowFormat, *, chart: str | None
) -> Callable[[], Awaitable[str]]:
    """Return what runs the query once, prints its result, and gives the note for below it.

    Args:
        show: Prints tables and charts.
        live: Has the engine.
        source: The query.
        format: Of the rows.
        chart: Its spec, empty for a guess; None for rows.
    """
    from thedata_cli.cli.query_source import placed_mistakes
    from thedata_cli.component_api.live import CanExportParquet, CanQuery
    from thedata_cli.output.chart import parse_chart, print_chart, read_chart
    from thedata_cli.output.quantities import count_text
    from thedata_cli.output.rows import row_encoder, write_parquet, write_rows
    from thedata_cli.output.table import print_table

    spec = None if chart is None else parse_chart(chart)

    async def export() -> str:
        exporter = live.with_ability(CanExportParquet, key=source.engine)
        with placed_mistakes(source):
            await write_parquet(exporter.export_parquet(source.sql), sys.stdout.buffer)
        return ""

    async def run() -> str:
        began = time.monotonic()
        with placed_mistakes(source):
            async with live.with_ability(CanQuery, key=source.engine).query(source.sql) as result:
                if spec is not None:
                    drawn = await read_chart(result, spec)
                    print_chart(show.stdout, drawn)
                    count = drawn.rows
                elif format is RowFormat.TABLE:
                    count = await print_table(result, show.stdout)
                else:
                    encoder = row_encoder(format, result.columns)
                    await write_rows(result, encoder, sys.stdout.buffer)
                    return ""
                what = count_text(count, "row") if result.columns else "done"
        return f"{what} in {time.monotonic() - began:.2f} s"

    return export if format is RowFormat.PARQUET else run


async def _repeat(run: Callable[[], Awaitable[str]], show: Show, interval_s: float) -> None:
    """Run until the user, or the reader of stdout, has seen enough; a terminal shows the latest result only."""
    import asyncio

    from thedata_cli.cli.closed_pipe import ended_by_closed_pipe

    with ended_by_closed_pipe():
        while True:
            if sys.stdout.isatty():
                # Drawn as a whole, because a screen that is cleared before the query has run flickers.
                with show.stdout.capture() as drawn:
                    note = await run()
                sys.stdout.write(f"\x1b[H\x1b[2J{drawn.get()}")
                sys.stdout.flush()
            else:
                note = await run()
            _note(show, note)
            await asyncio.sleep(interval_s)


def _note(show: Show, text: str) -> None:
    if text:
        show.note(text)
