"""One statement in, what to do with it out; everything that Materialize shares with PostgreSQL passes."""

from __future__ import annotations

from collections.abc import Callable

from thedata_cli.components.materialize.emulator.errors import SYNTAX_ERROR, EmulatorError, not_supported
from thedata_cli.components.materialize.emulator.grammar import Reader
from thedata_cli.components.materialize.emulator.parse_alter import parse_alter, parse_comment, parse_drop
from thedata_cli.components.materialize.emulator.parse_create import parse_create
from thedata_cli.components.materialize.emulator.parse_roles import parse_grant
from thedata_cli.components.materialize.emulator.parse_select import (
    parse_execute,
    parse_explain,
    parse_query,
    refuse_foreign_syntax,
)
from thedata_cli.components.materialize.emulator.parse_session import (
    parse_begin,
    parse_close,
    parse_copy,
    parse_declare,
    parse_end,
    parse_fetch,
    parse_set,
    parse_subscribe,
)
from thedata_cli.components.materialize.emulator.parse_show import parse_show
from thedata_cli.components.materialize.emulator.statements import Statement
from thedata_cli.components.materialize.emulator.tokens import Source

_PARSERS: dict[str, Callable[[Reader], Statement | None]] = {
    "create": parse_create,
    "alter": parse_alter,
    "drop": parse_drop,
    "comment": parse_comment,
    "grant": parse_grant,
    "revoke": parse_grant,
    "show": parse_show,
    "set": parse_set,
    "reset": parse_set,
    "subscribe": parse_subscribe,
    "tail": parse_subscribe,
    "declare": parse_declare,
    "fetch": parse_fetch,
    "close": parse_close,
    "copy": parse_copy,
    "begin": parse_begin,
    "start": parse_begin,
    "commit": parse_end,
    "end": parse_end,
    "rollback": parse_end,
    "abort": parse_end,
    "select": parse_query,
    "with": parse_query,
    "values": parse_query,
    "table": parse_query,
    "(": parse_query,
    "explain": parse_explain,
    "execute": parse_execute,
}
_LONGEST_SQL = 2 << 20
_PASSED = frozenset(["insert", "update", "delete", "prepare", "deallocate", "discard", "unlisten"])
_REFUSED = frozenset(
    [
        "validate",
        "inspect",
        "do",
        "call",
        "listen",
        "notify",
        "lock",
        "vacuum",
        "analyze",
        "analyse",
        "cluster",
        "reindex",
        "truncate",
        "merge",
        "savepoint",
        "release",
        "checkpoint",
        "load",
        "import",
        "refresh",
        "security",
        "reassign",
        "move",
        "raise",
    ]
)


def check_length(sql: str) -> None:
    """Refuse a text that Materialize would not read.

    Raises:
        EmulatorError: It is too long.
    """
    if len(sql.encode()) > _LONGEST_SQL:
        raise EmulatorError("54000", "statement batch size cannot exceed 2.0 MB")


def parse(source: Source) -> Statement | None:
    """Return the statement if the emulator runs it itself; None if PostgreSQL runs it as written.

    Raises:
        EmulatorError: It is not Materialize's SQL, or the emulator cannot do it.
    """
    first = source.tokens[0]
    parser = _PARSERS.get(first.value)
    if parser is not None or first.value in _PASSED:
        refuse_foreign_syntax(source.tokens)
    if parser is not None:
        return parser(Reader(source, 1))
    if first.value in _PASSED:
        return None
    if first.value in _REFUSED:
        raise not_supported(f"{first.value.upper()} statements", first.start)
    message = f"Expected a keyword at the beginning of a statement, found {first}"
    raise EmulatorError(SYNTAX_ERROR, message, position=first.start)
