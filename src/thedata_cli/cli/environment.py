"""`env`: addresses and credentials, so that any other client plugs in."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from thedata_cli.cli.app import app
from thedata_cli.cli.options import EnvironmentName, ProjectDir
from thedata_cli.cli.run_command import run_command


class EnvironmentFormat(StrEnum):
    """How variables are written."""

    DOTENV = "dotenv"
    SHELL = "shell"
    JSON = "json"


@app.command("env")
@run_command
def env(
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    format_: Annotated[
        EnvironmentFormat, typer.Option("--format", "--output", "-o", help="For a .env file, a shell, or a program.")
    ] = EnvironmentFormat.DOTENV,
) -> None:
    """Print addresses and credentials for other clients. Reads only.

    NATS_URL, CLICKHOUSE_URL, QUESTDB_PG_URL, QUESTDB_HTTP_URL and their parts.

    Example: eval "$(thedata env --format shell)" && psql "$QUESTDB_PG_URL"
    """
    from thedata_cli.output.variables import write_variables
    from thedata_cli.project.load import open_project
    from thedata_cli.targets.choose import choose_target

    loaded = open_project(project, environment)
    endpoints = choose_target(loaded).endpoints()
    variables = {
        name: value
        for key, component in loaded.components.items()
        if key in endpoints
        for name, value in component.client_environment(endpoints[key]).items()
    }
    write_variables(variables, format_)
