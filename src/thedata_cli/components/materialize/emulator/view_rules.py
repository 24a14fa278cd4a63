"""What Materialize refuses in views although PostgreSQL would take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thedata_cli.components.materialize.emulator.errors import NOT_SUPPORTED, EmulatorError
from thedata_cli.components.materialize.emulator.statements import MATERIALIZED_VIEW, CreateView
from thedata_cli.components.materialize.emulator.tokens import SYMBOL, WORD, tokenize

if TYPE_CHECKING:
    from thedata_cli.components.materialize.emulator.definitions import Creation

# By the name under which Materialize complains.
_CLOCKS = {
    "now": "current_timestamp",
    "current_timestamp": "current_timestamp",
    "current_date": "current_timestamp",
    "current_time": "current_timestamp",
    "localtime": "current_timestamp",
    "localtimestamp": "current_timestamp",
    "clock_timestamp": "clock_timestamp",
    "statement_timestamp": "statement_timestamp",
    "transaction_timestamp": "current_timestamp",
    "random": "random",
    "gen_random_uuid": "gen_random_uuid",
    "current_user": "current_user",
    "session_user": "session_user",
    "version": "version",
    "mz_uptime": "mz_uptime",
    "mz_version": "mz_version",
    "mz_environment_id": "mz_environment_id",
    "current_database": "current_database",
    "current_schemas": "current_schemas",
    "pg_backend_pid": "pg_backend_pid",
}
_WITHOUT_PARENTHESES = frozenset(
    ["current_timestamp", "current_date", "current_time", "localtime", "localtimestamp", "current_user", "session_user"]
)

_DEFINITIONS = """
WITH RECURSIVE below AS (
    SELECT %s::regclass::oid AS view
    UNION
    SELECT d.refobjid FROM below b JOIN pg_rewrite r ON r.ev_class = b.view
    JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'v'
)
SELECT pg_get_viewdef(view) FROM below
"""
_INTERNALS = """
SELECT pg_describe_object(d.refclassid, d.refobjid, 0) FROM pg_rewrite r
JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass
LEFT JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
LEFT JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
WHERE r.ev_class = %s::regclass AND d.refobjid <> r.ev_class
  AND coalesce(c.relnamespace, p.pronamespace) = 'mz_emulator'::regnamespace LIMIT 1
"""


async def check_definition(creation: Creation, statement: CreateView, view: str) -> dict[str, Any]:
    """Check a view that PostgreSQL accepted, with all views below it.

    Returns:
        What the maintainer must know of it: `reads_time` is there if it changes as time passes.

    Raises:
        EmulatorError: It reads what only the emulator may, or a materialized view calls the clock.
    """
    details: dict[str, Any] = {}
    row = await creation.run(_INTERNALS, [view])
    if row is not None:
        # The backend would let the view read it for everybody, secrets among them.
        raise EmulatorError("42501", f"permission denied for {row[0]}", position=statement.query.position)
    if statement.kind != MATERIALIZED_VIEW:
        return details
    position = next((one.start for one in tokenize(statement.query.sql) if one.value in _CLOCKS), None)
    cursor = await creation.connection.execute(_DEFINITIONS, [view])
    for (definition,) in await cursor.fetchall():
        words = called_functions(definition)
        for word in sorted(words & _CLOCKS.keys()):
            where = statement.query.position + position if position is not None else None
            hint = (
                "in a materialized view, compare a column with mz_now()"
                if _CLOCKS[word] == "current_timestamp"
                else None
            )
            raise EmulatorError(NOT_SUPPORTED, f"cannot materialize call to {_CLOCKS[word]}", hint=hint, position=where)
        if "mz_now" in words:
            details["reads_time"] = True
    return details


def called_functions(sql: str) -> set[str]:
    """Return the names that are called in a text, and the clocks that are called without parentheses.

    Example:
        >>> sorted(called_functions("SELECT now(), max(a), CURRENT_DATE, b FROM t"))
        ['current_date', 'max', 'now']
    """
    tokens = tokenize(sql)
    found = set()
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.kind == WORD and (
            (after is not None and after.kind == SYMBOL and after.value == "(") or token.value in _WITHOUT_PARENTHESES
        ):
            found.add(token.value)
    return found
