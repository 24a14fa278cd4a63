"""Which project created what: a small table in the server, because QuestDB has no comments on tables.

Rows are only ever added; the newest row of a name counts. Creating writes twice: the intent, without an identity,
before the statement that creates, and the claim, with the table's own identity, after it. A run that is killed in
between leaves an intent, by which the table is known as ours (or nothing, when the table was not made yet). The
identity is there for the other case: a table of the same name that somebody made after ours was dropped by hand is not
ours.

The table has no WAL, so that a row can be read as soon as it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from thedata_cli.components.questdb.sql_text import identifier, literal
from thedata_cli.plan.changes import Step
from thedata_cli.plan.resources import ResourceId

LEDGER = "_thedata_objects"

CREATE_LEDGER = Step(
    f"CREATE TABLE IF NOT EXISTS {identifier(LEDGER)} (at TIMESTAMP, kind SYMBOL, name SYMBOL, project SYMBOL, id INT) "
    "TIMESTAMP(at) PARTITION BY YEAR BYPASS WAL"
)

READ_LEDGER = f"SELECT kind, name, project, id FROM {identifier(LEDGER)} LATEST ON at PARTITION BY kind, name"


@dataclass(frozen=True)
class LedgerEntry:
    """The newest row of one name; `table_id` is None while only the intent is written."""

    kind: str
    name: str
    project: str
    table_id: int | None


def intent(resource: ResourceId, project: str) -> Step:
    """Say that the project is about to create it."""
    return Step(
        _insert(f"VALUES (systimestamp(), {literal(resource.kind)}, {_name(resource)}, {literal(project)}, null)")
    )


def claim(resource: ResourceId, project: str) -> Step:
    """Say that the project owns what now has this name."""
    return Step(
        _insert(
            f"SELECT systimestamp(), {literal(resource.kind)}, {_name(resource)}, {literal(project)}, id "
            f"FROM tables() WHERE table_name = {_name(resource)}"
        )
    )


def release(resource: ResourceId) -> Step:
    """Say that nobody owns the name any more."""
    return Step(_insert(f"VALUES (systimestamp(), {literal(resource.kind)}, {_name(resource)}, '', null)"))


def read_entries(rows: Iterable[Any]) -> dict[tuple[str, str], LedgerEntry]:
    """Read the result of `READ_LEDGER`."""
    return {(kind, name): LedgerEntry(kind, name, project or "", id_) for kind, name, project, id_ in rows}


def owner(entry: LedgerEntry | None, table_id: int) -> str:
    """Return the project that owns a live table; empty when none does."""
    if entry is None or entry.table_id not in (None, table_id):
        return ""
    return entry.project


def _name(resource: ResourceId) -> str:
    return literal(resource.name)


def _insert(source: str) -> str:
    return f"INSERT INTO {identifier(LEDGER)} (at, kind, name, project, id) {source}"
