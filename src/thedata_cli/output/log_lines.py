"""Lines of logs: as they are, behind their service's name, or as JSON Lines."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable

from thedata_cli.output.console import Show
from thedata_cli.targets.embedded.states import LogLine

_COLORS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta")


def log_printer(show: Show, *, is_named: bool) -> Callable[[LogLine], None]:
    """Return what prints one line, flushed.

    Args:
        show: Decides between text and JSON Lines.
        is_named: Put the service's name before each line, as several logs are mixed.
    """
    if show.is_json:
        return _print_json
    if not is_named:
        return _print_bare

    def print_named(line: LogLine) -> None:
        color = _COLORS[zlib.crc32(line.service.encode()) % len(_COLORS)]
        show.stdout.print(f"{line.service:<11}|", style=color, end=" ", markup=False)
        _print_bare(line)

    return print_named


def _print_bare(line: LogLine) -> None:
    sys.stdout.write(line.text + "\n")
    sys.stdout.flush()


def _print_json(line: LogLine) -> None:
    sys.stdout.write(json.dumps({"service": line.service, "text": line.text}, ensure_ascii=False) + "\n")
    sys.stdout.flush()
