"""Wrong command lines: told as JSON to whoever asked for JSON, before any command runs."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Sequence
from typing import Any, cast

import typer
from typer.core import TyperGroup

# Typer brings the family of these errors, and exports only this member of it.
_UsageError = cast(type[typer.BadParameter], typer.BadParameter.__bases__[0])


class RootGroup(TyperGroup):
    """The root of the command line."""

    def main(self, args: Sequence[str] | None = None, *arguments: Any, **options: Any) -> Any:
        """Run a command line to its end."""
        if not wants_json(sys.argv[1:] if args is None else args):
            return super().main(args, *arguments, **options)
        try:
            exit_code = super().main(args, *arguments, **{**options, "standalone_mode": False})
        except _UsageError as error:
            from thedata_cli.errors import UsageError
            from thedata_cli.output.console import Show

            Show(is_json=True).error(UsageError(error.format_message(), hint="`thedata COMMAND --help`"))
            exit_code = error.exit_code
        sys.exit(exit_code)


def wants_json(arguments: Sequence[str]) -> bool:
    """Tell whether a command line that cannot be parsed asks for JSON.

    Example:
        >>> wants_json(["plan", "-o", "json", "--nope"]), wants_json(["plan", "--nope"])
        (True, False)
    """
    pairs = itertools.pairwise(arguments)
    return (
        os.environ.get("THEDATA_OUTPUT") == "json"
        or not {"--output=json", "-ojson"}.isdisjoint(arguments)
        or any(option in {"--output", "-o"} and value == "json" for option, value in pairs)
    )
