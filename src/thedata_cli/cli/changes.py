"""`plan` and `apply`: what should change in the running stack, and doing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thedata_cli.cli.app import app
from thedata_cli.cli.options import AllowDataLoss, EnvironmentName, Format, OutputFormat, ProjectDir, Yes
from thedata_cli.cli.run_command import run_command
from thedata_cli.errors import ExitCode
from thedata_cli.output.console import Show

Adopt = Annotated[
    list[str] | None,
    typer.Option("--adopt", metavar="RESOURCE", help="Take over a resource that exists and is not ours; repeatable."),
]


@app.command()
@run_command
async def plan(
    show: Show,
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    adopt: Adopt = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 6 when something would change.")] = False,
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> ExitCode:
    """Show what `apply` would do, and why. Reads only.

    Every change comes with the exact statement or API call, its cause, and the data it loses.

    Example: thedata plan --exit-code
    """
    from thedata_cli.output.plan import plan_document, print_plan
    from thedata_cli.plan.resources import ResourceId
    from thedata_cli.project.load import open_project
    from thedata_cli.stack.live_stack import connect
    from thedata_cli.stack.resources import desired_resources
    from thedata_cli.targets.choose import choose_target

    loaded = open_project(project, environment)
    target = choose_target(loaded)
    async with connect(loaded.name, loaded.components, target.endpoints()) as live:
        found = await live.plan(desired_resources(loaded), adopt=[ResourceId.parse(text) for text in adopt or ()])
    show.result(found, human=print_plan, document=plan_document)
    return ExitCode.DIFFERENCES if exit_code and not found.is_empty else ExitCode.OK


@app.command()
@run_command
async def apply(
    show: Show,
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    adopt: Adopt = None,
    allow_data_loss: AllowDataLoss = False,
    yes: Yes = False,
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> ExitCode:
    """Make the running stack match the project.

    Creates, updates and deletes streams, consumers, tables and views; only what the project created is ever changed.
    Stops at the first change that fails; running it again continues.

    Example: thedata apply --yes
    """
    from thedata_cli.cli.refilling import show_refill
    from thedata_cli.output.plan import apply_document, print_apply, print_change, print_plan
    from thedata_cli.output.services import service_progress
    from thedata_cli.plan.resources import ResourceId
    from thedata_cli.project.load import open_project
    from thedata_cli.project.registry import WORKER
    from thedata_cli.stack.live_stack import connect
    from thedata_cli.stack.resources import desired_resources
    from thedata_cli.targets.choose import choose_target

    loaded = open_project(project, environment)
    target = choose_target(loaded)
    async with connect(loaded.name, loaded.components, target.endpoints()) as live:
        found = await live.plan(desired_resources(loaded), adopt=[ResourceId.parse(text) for text in adopt or ()])
        show.preview(found, human=print_plan)
        found.refuse_conflicts()
        found.refuse_data_loss(allowed=allow_data_loss)
        show.confirm("Apply these changes?", assume_yes=yes or found.is_empty)
        report = await live.apply(found, on_change=lambda change: show.preview(change, human=print_change))
    if await target.is_running(WORKER):
        # Its routes may have changed; whatever is as wanted is left alone.
        with service_progress(show) as on_event:
            await target.up(on_event=on_event)
        await show_refill(show, loaded, target, report)
    show.result(report, human=print_apply, document=apply_document)
    return ExitCode.FAILED if report.failure else ExitCode.OK
