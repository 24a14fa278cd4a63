"""`demo`: from nothing to a running platform with real data, in one command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from thedata_cli.cli.app import app
from thedata_cli.cli.options import BlueprintName, Format, OutputFormat
from thedata_cli.cli.run_command import run_command
from thedata_cli.errors import ExitCode
from thedata_cli.output.console import Show


@app.command()
@run_command
async def demo(
    show: Show,
    blueprint: BlueprintName = "flights",
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Project to make or go on with.  [default: ./NAME-demo]")
    ] = None,
    seconds: Annotated[
        float, typer.Option("--for", metavar="SECONDS", min=1, help="How long feeds that never end run.")
    ] = 20,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running, also without a terminal.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the stack at the end, also on a terminal.")] = False,
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> ExitCode:
    """Show the whole of it, with real data.

    Makes a project, starts it, moves real events through it, and asks questions. May be interrupted and run again; it
    goes on where it was. The data stays in the project's directory.

    Example: thedata demo --stop --output json
    """
    from thedata_cli.cli.demo_phases import Demo
    from thedata_cli.output.demo import demo_document, print_demo

    run = Demo(show, blueprint, (directory or Path(f"{Path(blueprint).name}-demo")).absolute(), live_s=seconds)
    run.prepare()
    stays_up = keep or (sys.stdout.isatty() and not stop)
    try:
        await run.start()
        await run.move_data()
        await run.show_queries()
    finally:
        if not stays_up:
            await run.stop()
    report = run.report(stays_up=stays_up)
    show.result(report, human=print_demo, document=demo_document)
    return ExitCode.OK if report.agrees else ExitCode.UNHEALTHY
