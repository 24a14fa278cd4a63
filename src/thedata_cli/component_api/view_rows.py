"""Changes of a view as rows of the table that is kept equal to it: which are written, and which are gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thedata_cli.component_api.view_values import Convert, Encoder, MisfitError, shown
from thedata_cli.component_api.views import ViewChange, ViewChanges
from thedata_cli.errors import StatementRejectedError

Key = tuple[Any, ...]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class KeyColumn:
    """One column of the key.

    Attributes:
        name: Its name.
        of_encoded: Makes encoded values equal where the store holds the same; None: they are.
        of_read: Makes values that were read from the store equal to those; None: they are.
    """

    name: str
    of_encoded: Convert | None = None
    of_read: Convert | None = None


@dataclass(frozen=True)
class ViewRows:
    """How the rows of a view become rows of its table.

    Attributes:
        table: Its name, for messages.
        encoders: By the name of each of the view's columns, in its order.
        key: Columns that identify a row.
    """

    table: str
    encoders: Mapping[str, Encoder]
    key: Sequence[KeyColumn]

    def split(self, changes: ViewChanges, live: Iterable[Key]) -> tuple[list[Row], list[Row]]:
        """Return the rows to write, and the keys of those that are gone; together they make the table show the changes.

        Args:
            changes: Of the view.
            live: Keys of the rows that the table shows, as they were read; looked at for a snapshot only.

        Raises:
            StatementRejectedError: A value does not fit its column, or two rows have the same key.
        """
        written = self._encoded([change for change in changes.changes if change.diff > 0], list(self.encoders))
        gone = self._encoded([change for change in changes.changes if change.diff < 0], [one.name for one in self.key])
        keys = [*self._keys(written), *self._keys(gone)]
        known = set(keys)
        if len(known) < len(keys):
            self._refuse_double(keys)
        if changes.is_snapshot:
            gone += self._missing(live, known)
        return written, gone

    def described(self, row: Row) -> str:
        """Return words for a row by its key."""
        return f"the row with {', '.join(f'{one.name} = {shown(row[one.name])}' for one in self.key)}"

    def _encoded(self, changes: Sequence[ViewChange], names: Sequence[str]) -> list[Row]:
        """Encode column by column; of rows that are gone only the key has values that count."""
        if not changes:
            return []
        by_column = dict(zip(self.encoders, zip(*(change.values for change in changes), strict=True), strict=True))
        encoded = []
        for name in names:
            try:
                encoded.append(self.encoders[name].encode(by_column[name]))
            except MisfitError as error:
                row = {one.name: by_column[one.name][error.position] for one in self.key}
                raise StatementRejectedError(
                    f"table {self.table}: {name}: {shown(error.value)} does not fit {self.encoders[name].type_name}, "
                    f"in {self.described(row)}",
                    hint="give the column a type that holds every value of the view",
                ) from error
        return [dict(zip(names, values, strict=True)) for values in zip(*encoded, strict=True)]

    def _keys(self, rows: Sequence[Row]) -> Iterator[Key]:
        for row in rows:
            yield tuple(one.of_encoded(row[one.name]) if one.of_encoded else row[one.name] for one in self.key)

    def _missing(self, live: Iterable[Key], known: set[Key]) -> Iterator[Row]:
        """Yield the keys of the table that the view does not have."""
        for values in live:
            pairs = zip(self.key, values, strict=True)
            key = tuple(one.of_read(value) if one.of_read and value is not None else value for one, value in pairs)
            if key not in known:
                yield dict(zip((one.name for one in self.key), values, strict=True))

    def _refuse_double(self, keys: Sequence[Key]) -> None:
        seen: set[Key] = set()
        for key in keys:
            if key in seen:
                row = dict(zip((one.name for one in self.key), key, strict=True))
                raise StatementRejectedError(f"table {self.table}: the view has {self.described(row)} twice")
            seen.add(key)
