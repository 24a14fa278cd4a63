"""`doctor`: what is wrong, why, and the command that mends it."""

from __future__ import annotations

from pathlib import Path

from thedata_cli.cli.app import app
from thedata_cli.cli.options import EnvironmentName, Format, OutputFormat, ProjectDir
from thedata_cli.cli.run_command import run_command
from thedata_cli.errors import ExitCode, UsageError
from thedata_cli.output.console import Show


@app.command()
@run_command
async def doctor(
    show: Show,
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> ExitCode:
    """Find what is wrong, why, and what mends it. Reads only.

    Looks at this machine, the project and the running stack; outside a project at the machine alone. Exits with 5
    when something is broken.

    Example: thedata doctor --output json
    """
    from thedata_cli.health import CheckStatus
    from thedata_cli.output.checks import DoctorReport, doctor_document, print_doctor
    from thedata_cli.project.files import find_project
    from thedata_cli.targets.doctor import examine

    try:
        directory: Path | None = find_project(project)
    except UsageError:
        directory = None
    report = DoctorReport(await examine(directory, environment))
    show.result(report, human=print_doctor, document=doctor_document)
    return ExitCode.UNHEALTHY if report.status is CheckStatus.FAILED else ExitCode.OK
