"""Views that are followed as they change, and tables that are kept equal to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from thedata_cli.component_api.live import ResultColumn
from thedata_cli.component_api.routes import ViewRoute

VERSION_COLUMN = "_version"
"""Column of every table that a view feeds: milliseconds since 1970 of the change that made the row; never goes back."""

DELETED_COLUMN = "_deleted"
"""Column of every table that a view feeds: whether the row has left the view. Its other values but the key's do not
count."""


@dataclass(frozen=True, slots=True)
class ViewChange:
    """One change of a view.

    Attributes:
        values: In the order of the columns, as Python objects. Of a row that left a view that is followed by key, only
            the key's values count.
        diff: Copies of the row that came, or negative, that went; 1 or -1 where the view is followed by key.
    """

    values: tuple[Any, ...]
    diff: int


@dataclass(frozen=True)
class ViewChanges:
    """All that changed in a view since the changes before.

    Attributes:
        until: Milliseconds since 1970: every change before this time is in here or was told before.
        changes: In order of time. By key: at most one for each key, the last.
        is_snapshot: Whether it is the whole view, as at the beginning of a subscription.
    """

    until: int
    changes: Sequence[ViewChange]
    is_snapshot: bool = False


class Subscription(Protocol):
    """A view that is followed."""

    @property
    def columns(self) -> Sequence[ResultColumn]:
        """Of the view."""

    def changes(self) -> AsyncIterator[ViewChanges]:
        """Yield changes for ever, whole times only; also without any, about once a second, to say that there are none.

        What comes while the caller is busy is yielded as one.

        Raises:
            ServiceUnreachableError: The connection is lost.
            StatementRejectedError: The view cannot be computed (the row at fault is named), is gone, or has two rows
                with the same key.
        """


@runtime_checkable
class CanSubscribe(Protocol):
    """Tells how a view changes, as it changes."""

    def subscribe(
        self, view: str, *, key: Sequence[str] = (), has_snapshot: bool = True
    ) -> AbstractAsyncContextManager[Subscription]:
        """Follow a view.

        Args:
            view: Its name.
            key: Columns that identify a row; changes are then told by key. Empty: row by row.
            has_snapshot: Whether the first changes are the view as it is.

        Raises:
            ServiceUnreachableError: The server does not answer.
            StatementRejectedError: There is no such view or column.
        """


_LAST_TIME = 253_402_300_799_999
"""The end of year 9999: a view that never changes is told with the largest time there is."""


def next_version(highest: int, until: int) -> int:
    """Return the `_version` of rows that are written next: their time, and above all that is in the table.

    Args:
        highest: Of the table.
        until: Of the changes; the clock of the view's server may have gone back.

    Example:
        >>> next_version(1_000, 5_000), next_version(9_000, 5_000), next_version(0, 2**64 - 1)
        (5000, 9001, 1)
    """
    return max(until if until <= _LAST_TIME else 0, highest + 1)


class MirrorWriter(Protocol):
    """Keeps one table equal to a view."""

    async def write(self, changes: ViewChanges) -> None:
        """Write changes; when it returns, the store has confirmed them. A reader sees all of them or none.

        After a snapshot the table has exactly its rows, whatever was there before. The same changes may be written
        again after a failure.

        Raises:
            ServiceUnreachableError: The store is down or the outcome is unknown.
            StatementRejectedError: The store refuses: the table is missing or has other columns than the view, or a
                value does not fit, which is named with its row's key.
        """


@runtime_checkable
class CanMirror(Protocol):
    """Has tables that can be kept equal to a view."""

    async def mirrored_rows(self, table: str) -> int:
        """Return how many rows a table shows that is kept equal to a view.

        Raises:
            StatementRejectedError: There is no such table.
        """

    def open_mirror(
        self, route: ViewRoute, columns: Sequence[ResultColumn]
    ) -> AbstractAsyncContextManager[MirrorWriter]:
        """Open the route's table for a view with these columns."""
