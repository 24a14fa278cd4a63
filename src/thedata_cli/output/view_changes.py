"""Changes of a view: one line each, for people or as JSON Lines."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from thedata_cli.component_api.views import ViewChange, ViewChanges
from thedata_cli.output.messages import coloured_json, time_text
from thedata_cli.output.table import printable
from thedata_cli.output.values import json_encoder, json_value

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_BLOCK = 1000
"""Lines that are written at once: a view as it is may have millions."""


@dataclass(frozen=True)
class FollowedView:
    """The view whose changes are printed.

    Attributes:
        columns: Their names, in order.
        key: Columns that identify a row; empty when the view is followed row by row.
    """

    name: str
    columns: Sequence[str]
    key: Sequence[str] = ()

    def row(self, change: ViewChange) -> Mapping[str, Any]:
        """Return the whole row of a change, by column."""
        return dict(zip(self.columns, map(json_value, change.values), strict=True))

    def key_of(self, change: ViewChange) -> Mapping[str, Any]:
        """Return the part of the row that identifies it."""
        row = self.row(change)
        return {name: row[name] for name in self.key}


class ChangeLines:
    """JSON Lines: `{"view", "time", "is_snapshot", "diff", "row"}`.

    By key `{"view", "time", "is_snapshot", "operation", "key", "row"}`, without a row when it is deleted.

    Args:
        sink: Gets the lines, flushed when all changes of a time are written.
        view: Whose changes they are.
    """

    def __init__(self, sink: BinaryIO, view: FollowedView) -> None:
        self._sink = sink
        self._view = view

    def print(self, changes: ViewChanges) -> None:
        """Write changes.

        Raises:
            BrokenPipeError: The reader of the sink has gone.
        """
        for block in _blocks(changes.changes):
            self._sink.write(b"".join(change_line(self._view, changes, change) for change in block))
            self._sink.flush()


class PrettyChanges:
    """For people: time, `+` or `-`, and the row; by key `upsert` with the row, `delete` with the key.

    Args:
        console: Where to print; coloured when it is a terminal.
        view: Whose changes they are.
    """

    def __init__(self, console: Console, view: FollowedView) -> None:
        self._console = console
        self._view = view

    def print(self, changes: ViewChanges) -> None:
        """Print changes.

        Raises:
            BrokenPipeError: The reader has gone.
        """
        from rich.text import Text

        for block in _blocks(changes.changes):
            text: str | Text
            if self._console.is_terminal:
                text = Text("\n").join(_styled_change(self._view, changes, change) for change in block)
            else:
                text = "\n".join(pretty_change(self._view, changes, change) for change in block)
            self._console.print(text, soft_wrap=True, markup=False, highlight=False)


def change_line(view: FollowedView, changes: ViewChanges, change: ViewChange) -> bytes:
    r"""Return the JSON of one change and a line feed.

    Example:
        >>> change = ViewChange(("AA", 3), 1)
        >>> change_line(FollowedView("delays", ("carrier", "late")), ViewChanges(1357034400000, [change]), change)
        b'{"view":"delays","time":"2013-01-01T10:00:00Z","is_snapshot":false,"diff":1,"row":{"carrier":"AA","late":3}}\n'
    """
    content: dict[str, object] = {"view": view.name, "time": _time(changes), "is_snapshot": changes.is_snapshot}
    if view.key:
        content["operation"] = _operation(change)
        content["key"] = view.key_of(change)
        content["row"] = view.row(change) if change.diff > 0 else None
    else:
        content["diff"] = change.diff
        content["row"] = view.row(change)
    return json_encoder().encode(content) + b"\n"


def pretty_change(view: FollowedView, changes: ViewChanges, change: ViewChange) -> str:
    """Return the text of one change, without the last line feed.

    Example:
        >>> change = ViewChange(("AA", 3), -2)
        >>> pretty_change(FollowedView("delays", ("carrier", "late")), ViewChanges(1357034400000, [change]), change)
        '2013-01-01T10:00:00.000Z  -2  {"carrier":"AA","late":3}'
    """
    return f"{time_text(_time(changes))}  {_sign(view, change)}  {_row_text(view, change)}"


def _styled_change(view: FollowedView, changes: ViewChanges, change: ViewChange) -> Text:
    from rich.text import Text

    line = Text()
    line.append(time_text(_time(changes)), "dim").append("  ")
    line.append(_sign(view, change), "green" if change.diff > 0 else "red").append("  ")
    return line.append_text(coloured_json(_row_text(view, change)))


def _blocks(changes: Sequence[ViewChange]) -> Iterator[Sequence[ViewChange]]:
    for start in range(0, len(changes), _BLOCK):
        yield changes[start : start + _BLOCK]


def _time(changes: ViewChanges) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(changes.until / 1000, datetime.UTC)


def _operation(change: ViewChange) -> str:
    return "upsert" if change.diff > 0 else "delete"


def _sign(view: FollowedView, change: ViewChange) -> str:
    """Return what happened to the row; how many copies came or went only where it is more than one."""
    if view.key:
        return _operation(change)
    return f"{change.diff:+d}" if abs(change.diff) > 1 else "+" if change.diff > 0 else "-"


def _row_text(view: FollowedView, change: ViewChange) -> str:
    shown = view.key_of(change) if view.key and change.diff < 0 else view.row(change)
    return printable(json_encoder().encode(shown).decode())
