"""docs/cli.md, made from the commands' own help. `python -m tests.docs.cli_reference --write` writes it anew."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

REFERENCE = Path(__file__).parent.parent.parent / "docs" / "cli.md"

INTRODUCTION = """\
# Command line

Made from the commands' own help; `make docs` writes it anew.

Exit codes: 0 ok · 1 failed · 2 wrong usage · 3 invalid project · 4 a service is unreachable · 5 unhealthy, or a check
failed · 6 differences found (`plan --exit-code`) · 7 refused · 130 interrupted.
Results go to stdout, everything else to stderr.
"""


def commands() -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, groups included, in the order of the help."""
    from thedata_cli.cli.commands import app

    yield from _walk(typer.main.get_command(app), ())


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from _walk(child, (*words, name))


def render() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION]
    for words in commands():
        title = " ".join(("thedata", *words))
        parts.append(f"## {title}\n\n```text\n{_help(words)}\n```\n")
    return "\n".join(parts)


def _help(words: tuple[str, ...]) -> str:
    """Return the help as a terminal of 100 columns shows it, without trailing blanks."""
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERMINAL_WIDTH": "100"}
    for name in ("THEDATA_OUTPUT", "THEDATA_ENVIRONMENT", "CI", "GITHUB_ACTIONS", "FORCE_COLOR"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-m", "thedata_cli", *words, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


if __name__ == "__main__":
    if "--write" in sys.argv:
        REFERENCE.write_text(render())
    else:
        sys.stdout.write(render())
