"""`up`, `down`, `restart`, `status`, `logs`: the processes of a stack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thedata_cli.cli import completion
from thedata_cli.cli.app import app
from thedata_cli.cli.options import AllowDataLoss, EnvironmentName, Format, OutputFormat, ProjectDir
from thedata_cli.cli.run_command import run_command
from thedata_cli.errors import ExitCode, RefusedError, ServiceStartError
from thedata_cli.output.console import Show

if TYPE_CHECKING:
    from thedata_cli.targets.embedded.runtime import EmbeddedTarget

Timeout = Annotated[float, typer.Option(metavar="SECONDS", min=1, help="How long to wait for health.")]


@app.command()
@run_command
async def up(
    show: Show,
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    no_apply: Annotated[bool, typer.Option("--no-apply", help="Only start the services.")] = False,
    timeout: Timeout = 120,
    allow_data_loss: AllowDataLoss = False,
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> ExitCode:
    """Start the stack, and apply what the project declares.

    Waits until every service is healthy, and starts again one that has stopped answering. Where a service fails, the
    others run and get what is declared for them. Running it again changes nothing that is already as declared. Sources
    that had to be made anew are filled again from their streams.

    Example: thedata up --no-apply
    """
    from thedata_cli.cli.refilling import show_refill
    from thedata_cli.output.plan import print_change
    from thedata_cli.output.services import service_progress
    from thedata_cli.output.up import UpReport, print_up, up_document
    from thedata_cli.project.load import open_project
    from thedata_cli.project.schemas import write_schemas
    from thedata_cli.stack.live_stack import connect
    from thedata_cli.stack.resources import desired_resources
    from thedata_cli.targets.choose import choose_target
    from thedata_cli.targets.status import stack_status

    loaded = open_project(project, environment)
    target = choose_target(loaded)
    show.detail(f"target: {target.name} (processes on this machine)")
    failure = None
    with service_progress(show) as on_event:
        try:
            await target.up(timeout_s=timeout, on_event=on_event)
        except ServiceStartError as error:
            failure = error
    write_schemas(loaded.directory)
    report = None
    if not no_apply:
        only = await _healthy(target) if failure else None
        async with connect(loaded.name, loaded.components, target.endpoints(), only=only) as live:
            plan = await live.plan(desired_resources(loaded))
            plan.refuse_conflicts()
            plan.refuse_data_loss(allowed=allow_data_loss)
            report = await live.apply(plan, on_change=lambda change: show.preview(change, human=print_change))
    if report:
        await show_refill(show, loaded, target, report)
    if failure:
        raise failure
    status = await stack_status(loaded, target)
    show.result(UpReport(status, report), human=print_up, document=up_document)
    return ExitCode.FAILED if report and report.failure else ExitCode.OK


async def _healthy(target: EmbeddedTarget) -> list[str]:
    from thedata_cli.targets.embedded.states import ServicePhase

    return [state.service for state in await target.status() if state.state is ServicePhase.HEALTHY]


@app.command()
@run_command
async def down(
    show: Show,
    project: ProjectDir = Path(),
    volumes: Annotated[bool, typer.Option("--volumes", help="Delete the data of every service too.")] = False,
    allow_data_loss: AllowDataLoss = False,
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> None:
    """Stop the stack.

    The data stays, unless --volumes says otherwise. Works whatever state the project's files are in.

    Example: thedata down
    """
    from thedata_cli.output.quantities import bytes_text
    from thedata_cli.output.services import DownReport, down_document, print_down, service_progress
    from thedata_cli.project.files import find_project
    from thedata_cli.targets.choose import target_of_directory

    target = target_of_directory(find_project(project))
    sizes = target.data_bytes() if volumes else {}
    if sizes and not allow_data_loss:
        held = ", ".join(f"{name} {bytes_text(size)}" for name, size in sizes.items())
        raise RefusedError(
            f"`down --volumes` deletes all data: {held}",
            hint="allow it with `thedata down --volumes --allow-data-loss`",
        )
    with service_progress(show) as on_event:
        states = await target.down(on_event=on_event)
    deleted = await target.destroy_data() if volumes else None
    show.result(DownReport(states, deleted), human=print_down, document=down_document)


@app.command()
@run_command
async def restart(
    show: Show,
    service: Annotated[
        str, typer.Argument(help="The service to stop and start again.", autocompletion=completion.services)
    ],
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    timeout: Timeout = 120,
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> None:
    """Stop one service and start it again.

    It starts with the project's present settings.

    Example: thedata restart questdb
    """
    from thedata_cli.output.services import service_progress
    from thedata_cli.output.status import print_status, status_document
    from thedata_cli.project.load import open_project
    from thedata_cli.targets.choose import choose_target
    from thedata_cli.targets.status import stack_status

    loaded = open_project(project, environment)
    target = choose_target(loaded)
    with service_progress(show) as on_event:
        await target.restart(service, timeout_s=timeout, on_event=on_event)
    show.result(await stack_status(loaded, target), human=print_status, document=status_document)


@app.command()
@run_command
async def status(
    show: Show,
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> ExitCode:
    """Show every service, and how far the pipelines are. Reads only.

    Exits with 5 when a service is not healthy.

    Example: thedata status --output json
    """
    from thedata_cli.output.status import print_status, status_document
    from thedata_cli.project.load import open_project
    from thedata_cli.targets.choose import choose_target
    from thedata_cli.targets.status import stack_status

    loaded = open_project(project, environment)
    found = await stack_status(loaded, choose_target(loaded))
    show.result(found, human=print_status, document=status_document)
    return ExitCode.OK if found.is_healthy else ExitCode.UNHEALTHY


@app.command()
@run_command
async def logs(
    show: Show,
    service: Annotated[
        str | None, typer.Argument(help="One service; all of them when left out.", autocompletion=completion.services)
    ] = None,
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")] = False,
    tail: Annotated[int, typer.Option("--tail", "-n", min=0, help="Lines of each log to begin with.")] = 100,
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> None:
    """Show what the services wrote. Reads only.

    Example: thedata logs -f questdb
    """
    from thedata_cli.output.log_lines import log_printer
    from thedata_cli.project.load import open_project
    from thedata_cli.targets.choose import choose_target

    loaded = open_project(project, environment)
    print_line = log_printer(show, is_named=service is None)
    async for line in choose_target(loaded).logs(service, follow=follow, tail=tail):
        print_line(line)
