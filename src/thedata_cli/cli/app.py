"""The root of the command line. Which commands hang on it is in `commands.py`."""

from __future__ import annotations

from typing import Annotated

import typer

from thedata_cli import __version__
from thedata_cli.cli.usage_errors import RootGroup

app = typer.Typer(
    cls=RootGroup,
    name="thedata",
    help="One declared project gives you a running, tested, observable real-time data platform.",
    epilog="Start with: thedata init my-platform --blueprint flights",
    no_args_is_help=True,
    rich_markup_mode=None,  # help made by rich costs three times the start-up of everything else
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(context: typer.Context, is_asked: bool) -> None:
    # A line that is completed is parsed too, and then nothing may be printed.
    if is_asked and not context.resilient_parsing:
        typer.echo(f"thedata {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One declared project gives you a running, tested, observable real-time data platform."""
