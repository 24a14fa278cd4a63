"""The live columns of one table, as those need them who write into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thedata_cli.components.questdb.connection import Connection
from thedata_cli.components.questdb.observed import READ_TABLES, columns_by_table, live_tables, read_columns
from thedata_cli.components.questdb.sql_text import literal
from thedata_cli.errors import StatementRejectedError


@dataclass(frozen=True)
class Layout:
    """What a live table looks like.

    Attributes:
        id: The server's number for it; a table that is made anew has another.
        types: Of its columns, by name.
        keys: Names of the dedup keys.
        timestamp: Name of the designated timestamp; empty when there is none.
    """

    id: int
    types: Mapping[str, str]
    keys: tuple[str, ...]
    timestamp: str


async def refuse_another(connection: Connection, table: str, id_: int) -> None:
    """Make sure that a table is still the one that was looked at.

    Raises:
        StatementRejectedError: It is gone, or has been made anew.
    """
    found = await connection.rows(f"SELECT id FROM tables() WHERE table_name = {literal(table)}")
    if not found:
        raise StatementRejectedError(f"QuestDB has no table {table}", hint="create it with `thedata apply`")
    if found[0][0] != id_:
        raise StatementRejectedError(
            f"QuestDB table {table} has been made anew while it was written",
            hint="the next attempt begins with the whole view",
        )


async def read_layout(connection: Connection, table: str) -> Layout:
    """Read what a table looks like.

    Raises:
        StatementRejectedError: There is no such table.
        ServiceUnreachableError: The server does not answer.
    """
    found = [live for live in live_tables(await connection.rows(READ_TABLES)) if live.name == table]
    if not found:
        raise StatementRejectedError(f"QuestDB has no table {table}", hint="create it with `thedata apply`")
    columns = columns_by_table([table], await connection.rows(read_columns([table])))[table]
    types = {name: str(spec["type"]) for name, spec in columns.spec.items()}
    return Layout(found[0].id, types, columns.keys, found[0].timestamp)
