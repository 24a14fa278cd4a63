"""The rows from which a grouping view is made, each once with its count: what is left of a group when rows of it go."""

from __future__ import annotations

from dataclasses import dataclass

HASH, ROW_HASH, COUNT = "mz_hash", "mz_row_hash", "mz_count"


def key_columns(count: int) -> list[str]:
    """Return the names of the group keys."""
    return [f"mz_k{number}" for number in range(count)]


def hash_of(columns: list[str]) -> str:
    """Return the hash of some columns as SQL, which finds them by an index whatever their types are."""
    return f"hash_record_extended(ROW({', '.join(columns)}), 0)" if columns else "0::bigint"


def same(columns: list[str], left: str, right: str, by_hash: str = HASH) -> str:
    """Return the condition that two rows agree in some columns, nulls among them."""
    equal = [f"{left}.{one} IS NOT DISTINCT FROM {right}.{one}" for one in columns]
    return " AND ".join([f"{left}.{by_hash} = {right}.{by_hash}", *equal])


def made_anew(table: str, query: str, *indexed: str) -> list[str]:
    """Return what makes a table of what a query brings, with an index on each of some columns."""
    return [
        f"DROP TABLE IF EXISTS {table}",
        f"CREATE TABLE {table} AS {query}",
        *(f"CREATE INDEX ON {table} ({column})" for column in indexed),
        f"ANALYZE {table}",
    ]


@dataclass(frozen=True)
class KeptRows:
    """A table of rows.

    Attributes:
        table: Its name in SQL.
        keys: The group keys, which are columns of the rows.
        others: The rest of the columns.
    """

    table: str
    keys: list[str]
    others: list[str]

    @property
    def _columns(self) -> list[str]:
        return [*self.keys, *self.others]

    def _counted(self, rows: str, weight: str) -> str:
        columns = ", ".join(self._columns)
        group = f" GROUP BY {columns}" if columns else ""
        return (
            f"SELECT {hash_of(self.keys)} AS {HASH}, {hash_of(self._columns)} AS {ROW_HASH}, * FROM (SELECT "
            f"{', '.join([*self._columns, f'sum({weight})::bigint AS {COUNT}'])} FROM {rows}{group} "
            f"HAVING sum({weight}) <> 0) AS mz_counted"
        )

    def rebuild(self, rows: str) -> list[str]:
        """Return what makes the table anew of all rows."""
        return made_anew(self.table, self._counted(rows, "CAST(1 AS BIGINT)"), HASH, ROW_HASH)

    def merge(self, changes: str, weight: str) -> list[str]:
        """Return the parts of a WITH that bring the table up to date.

        Afterwards `row_delta` has what changed, in the columns of the table.
        """
        alike = same(self._columns, "old", "delta", ROW_HASH)
        columns = ", ".join(f"delta.{one}" for one in (HASH, ROW_HASH, *self._columns))
        return [
            f"row_delta AS MATERIALIZED ({self._counted(changes, weight)})",
            f"row_old AS MATERIALIZED (SELECT old.ctid AS mz_place, old.* FROM {self.table} AS old "
            f"JOIN row_delta AS delta ON {alike})",
            f"row_gone AS (DELETE FROM {self.table} WHERE ctid = ANY (ARRAY(SELECT mz_place FROM row_old)))",
            f"row_added AS (INSERT INTO {self.table} SELECT {columns}, coalesce(old.{COUNT}, 0) + delta.{COUNT} "
            f"FROM row_delta AS delta LEFT JOIN row_old AS old ON {alike} "
            f"WHERE coalesce(old.{COUNT}, 0) + delta.{COUNT} <> 0)",
        ]

    def touched(self, condition: str = "true") -> str:
        """Return the part of a WITH that names the groups with a change of which a condition holds."""
        columns = ", ".join([HASH, *self.keys])
        return f"touched AS MATERIALIZED (SELECT DISTINCT {columns} FROM row_delta WHERE {condition})"

    def before(self) -> str:
        """Return the query of the rows that the touched groups had."""
        columns = ", ".join(f"kept.{one}" for one in (HASH, *self._columns, COUNT))
        return f"SELECT {columns} FROM {self.table} AS kept JOIN touched ON {same(self.keys, 'kept', 'touched')}"

    def after(self) -> str:
        """Return the query of the rows that the touched groups have."""
        columns = ", ".join([HASH, *self._columns])
        changes = ", ".join(f"row_delta.{one}" for one in (HASH, *self._columns, COUNT))
        # What the same statement writes to the table is not seen in it.
        return (
            f"SELECT {columns}, sum({COUNT})::bigint AS {COUNT} FROM ({self.before()} UNION ALL SELECT {changes} "
            f"FROM row_delta JOIN touched ON {same(self.keys, 'row_delta', 'touched')}) AS mz_both "
            f"GROUP BY {columns} HAVING sum({COUNT}) > 0"
        )
