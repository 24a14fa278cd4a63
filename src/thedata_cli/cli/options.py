"""Options that several commands share, each written once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from thedata_cli.cli import completion


class Format(StrEnum):
    """How a command shows its result."""

    HUMAN = "human"
    JSON = "json"


ProjectDir = Annotated[
    Path,
    typer.Option(
        "--project", "-C", metavar="DIR", help="The project's directory; its parents are searched for thedata.yaml."
    ),
]
EnvironmentName = Annotated[
    str,
    typer.Option(
        "--environment",
        "-e",
        metavar="NAME",
        envvar="THEDATA_ENVIRONMENT",
        help="Overlay under environments/ to apply.",
        autocompletion=completion.environments,
    ),
]
BlueprintName = Annotated[
    str,
    typer.Option(
        "--blueprint", "-b", help="A name from `blueprint ls`, or a path.", autocompletion=completion.blueprints
    ),
]
OutputFormat = Annotated[
    Format,
    typer.Option("--output", "-o", envvar="THEDATA_OUTPUT", help="Text for people, or one JSON document on stdout."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal to ask on.")]
AllowDataLoss = Annotated[bool, typer.Option("--allow-data-loss", help="Let the plan drop or rebuild what holds data.")]
