"""What a subscription has told and nobody has taken yet: whole times only, by key no more than the view has keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thedata_cli.component_api.views import ViewChange, ViewChanges

MOST_ROWS = 200_000
"""Changes row by row that wait to be taken, before reading stops."""


class DuplicateKeyError(Exception):
    """Two rows of the view have one key.

    Args:
        key: Its values.
    """

    def __init__(self, key: tuple[Any, ...]) -> None:
        super().__init__(key)
        self.key = key


class ChangeBuffer:
    """Takes the rows of SUBSCRIBE as the server sends them, and gives changes.

    Args:
        columns: Of the view, in its order.
        key: Those that identify a row; the server then sends them first. Empty: row by row.
        has_snapshot: Whether the view as it is comes first.
    """

    def __init__(self, columns: Sequence[str], key: Sequence[str], *, has_snapshot: bool) -> None:
        sent = [*key, *(name for name in columns if name not in key)] if key else list(columns)
        self._places = [3 + sent.index(name) for name in columns] if key else list(range(3, 3 + len(sent)))
        self._key_end = 3 + len(key)
        self._needs_snapshot = has_snapshot
        self._start: int | None = None
        self._snapshot: ViewChanges | None = None
        self._incoming: dict[Any, ViewChange] = {}
        self._ready: dict[Any, ViewChange] = {}
        self._until = 0
        self._told = 0
        self._count = 0

    @property
    def needs_snapshot(self) -> bool:
        """Whether the view as it is has not come yet, or not all of it."""
        return self._needs_snapshot

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be read until something is taken."""
        waiting = len(self._ready) + (len(self._snapshot.changes) if self._snapshot else 0)
        return not self._is_by_key and waiting > 0 and waiting + len(self._incoming) >= MOST_ROWS

    @property
    def _is_by_key(self) -> bool:
        return self._key_end > 3

    def add(self, row: Sequence[Any]) -> None:
        """Take one row: time, whether it is progress, diff or state, and values.

        Raises:
            DuplicateKeyError: The server found two rows with one key.
        """
        if row[1]:
            self._progress(int(row[0]))
        elif self._is_by_key:
            self._add_by_key(row)
        else:
            self._count += 1
            self._incoming[self._count] = ViewChange(tuple(row[3:]), row[2])

    def end(self, now: int) -> None:
        """Note that the view never changes again: all is told until now."""
        self._start = self._start or 0
        self._progress(max(now, self._start + 1, self._until + 1))

    def take(self) -> ViewChanges | None:
        """Return what has come since the last time; None when no time has passed."""
        if self._snapshot:
            found, self._snapshot = self._snapshot, None
            self._told = found.until
            return found
        if self._until <= self._told:
            return None
        found = ViewChanges(self._until, list(self._ready.values()))
        self._ready.clear()
        self._told = self._until
        return found

    def _add_by_key(self, row: Sequence[Any]) -> None:
        key, state = tuple(row[3 : self._key_end]), row[2]
        if state not in ("upsert", "delete"):
            raise DuplicateKeyError(key)
        change = ViewChange(tuple([row[place] for place in self._places]), 1 if state == "upsert" else -1)
        identity = _hashable(key)
        # Out and in again, so that the order is that of time.
        self._incoming.pop(identity, None)
        self._incoming[identity] = change

    def _progress(self, until: int) -> None:
        """Note that everything before a time has come."""
        if self._needs_snapshot and self._start is None:
            # The first word is the time of the snapshot, whose rows follow.
            self._start = until
            return
        self._until = max(self._until, until)
        if self._needs_snapshot:
            rows = [change for change in self._incoming.values() if change.diff > 0 or not self._is_by_key]
            self._snapshot = ViewChanges(self._until, rows, is_snapshot=True)
            self._needs_snapshot = False
        else:
            for identity in self._incoming:
                self._ready.pop(identity, None)
            self._ready.update(self._incoming)
        self._incoming = {}


def _hashable(key: tuple[Any, ...]) -> Any:
    """Return what tells keys apart: documents and arrays have no hash."""
    try:
        hash(key)
    except TypeError:
        return repr(key)
    return key
