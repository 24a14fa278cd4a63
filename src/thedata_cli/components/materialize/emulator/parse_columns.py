"""The columns of CREATE TABLE: PostgreSQL reads them, except for what Materialize refuses or only Materialize has."""

from __future__ import annotations

from collections.abc import Sequence

from thedata_cli.components.materialize.emulator.errors import NOT_SUPPORTED, SYNTAX_ERROR, EmulatorError, not_supported
from thedata_cli.components.materialize.emulator.statements import Text
from thedata_cli.components.materialize.emulator.tokens import QUOTED, WORD, Token, tokenize

_TYPES_OF_POSTGRES = ("serial", "bigserial", "smallserial", "money", "xml", "json")
_OPTIONS_OF_POSTGRES = ("generated", "storage", "compression", "like")


def check_columns(columns: Text) -> None:
    """Refuse keys, constraints and types that Materialize does not have.

    Raises:
        EmulatorError: There is one.
    """
    tokens = tokenize(columns.sql)
    if not tokens:
        raise not_supported("tables without columns", columns.position)
    depth = 0
    for at, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.value, 0)
        if token.kind == WORD and not depth:
            position = columns.position + token.start
            _check_constraint(tokens, at, position)
            _check_type(tokens, at, position)


def _check_constraint(tokens: Sequence[Token], at: int, position: int) -> None:
    token, after = tokens[at], tokens[at + 1].value if at + 1 < len(tokens) else ""
    refused = ""
    # A column may be named `unique`; then a type follows, and no comma, parenthesis or further constraint.
    if (token.value == "primary" and after == "key") or (token.value == "unique" and after in ("", ",", "(", "not")):
        refused = "primary key or unique constraint"
    elif (token.value == "check" and after == "(") or token.value in ("references", "foreign"):
        refused = "constraint"
    elif token.value == "collate":
        refused = "collation"
    elif token.value == "version" and after == "added":
        refused = "version"
    if refused:
        raise EmulatorError(NOT_SUPPORTED, f"CREATE TABLE with a {refused} is not supported", position=position)


def _check_type(tokens: Sequence[Token], at: int, position: int) -> None:
    token = tokens[at]
    if token.value in _OPTIONS_OF_POSTGRES:
        raise EmulatorError(SYNTAX_ERROR, f"Expected column option, found {token}", position=position)
    if not at or tokens[at - 1].kind not in (WORD, QUOTED):
        return
    if token.value in _TYPES_OF_POSTGRES:
        raise EmulatorError("42704", f'type "{token.value}" does not exist', position=position)
    if token.value == "list" and at > 1 and tokens[at - 2].kind in (WORD, QUOTED):
        raise not_supported("lists", position)
