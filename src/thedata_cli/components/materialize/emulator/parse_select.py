"""Queries: PostgreSQL reads them, except for what only Materialize has, which is refused by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from thedata_cli.components.materialize.emulator.errors import not_supported
from thedata_cli.components.materialize.emulator.grammar import Reader
from thedata_cli.components.materialize.emulator.statements import Statement
from thedata_cli.components.materialize.emulator.tokens import SYMBOL, WORD, Token

_SUSPECT = re.compile(r"\b(?:mutually|options|list|map|nulls|show|qualify)\b|\[\s*\w+\s+as\b", re.IGNORECASE)
_HINTED = ("expected", "aggregate", "distinct", "limit")
_PLANS = frozenset(
    [
        "raw", "decorrelated", "locally", "optimized", "physical", "optimizer", "plan", "timestamp", "filter", "key",
        "value", "broken", "replan", "subscribe", "create", "as", "view", "materialized", "index",
    ]
)  # fmt: skip
_ANALYZED = ("memory", "cpu", "hints", "cluster")


def may_have_foreign_syntax(sql: str) -> bool:
    """Whether a text must be read in tokens to know that it has nothing of Materialize's own."""
    return _SUSPECT.search(sql) is not None


def refuse_foreign_syntax(tokens: Sequence[Token]) -> None:
    """Refuse what Materialize reads in a query and PostgreSQL does not.

    Raises:
        EmulatorError: There is such a thing.
    """
    for at, token in enumerate(tokens):
        check = _FOREIGN.get(token.value)
        if check is None or token.kind not in (WORD, SYMBOL):
            continue
        what = check(_Around(tokens, at))
        if what is not None:
            raise not_supported(what, token.start)


class _Around:
    """The tokens around one; beyond the ends they are empty."""

    def __init__(self, tokens: Sequence[Token], at: int) -> None:
        self._tokens = tokens
        self._at = at

    def value(self, offset: int) -> str:
        at = self._at + offset
        if not 0 <= at < len(self._tokens) or self._tokens[at].kind not in (WORD, SYMBOL):
            return ""
        return self._tokens[at].value

    def is_word(self, offset: int) -> bool:
        at = self._at + offset
        return 0 <= at < len(self._tokens) and self._tokens[at].kind == WORD


def _recursion(around: _Around) -> str | None:
    return "WITH MUTUALLY RECURSIVE" if (around.value(-1), around.value(1)) == ("with", "recursive") else None


def _hints(around: _Around) -> str | None:
    return "OPTIONS of queries" if around.value(1) == "(" and around.value(2) in _HINTED else None


def _list(around: _Around) -> str | None:
    is_value = around.value(1) == "[" or (around.value(1) == "(" and around.value(2) in ("select", "with", "values"))
    is_type = around.is_word(-1) and (
        around.value(-2) == "::"
        or (around.value(-2) == "as" and around.value(1) == ")" and around.value(-1) != "select")
    )
    return "lists" if (is_value and around.value(-1) != ".") or is_type else None


def _map(around: _Around) -> str | None:
    is_value = around.value(1) == "[" or (around.value(1) == "(" and around.value(2) in ("select", "with"))
    return "maps written as MAP" if is_value and around.value(-1) != "." else None


def _nulls(around: _Around) -> str | None:
    word = around.value(-1)
    return f"{word.upper()} NULLS" if word in ("ignore", "respect") and around.value(-2) == ")" else None


def _show(around: _Around) -> str | None:
    inside = around.value(-1) == "(" and around.value(-2) in ("from", "in", "join", "copy", "exists")
    return "SHOW in a query; read mz_catalog" if inside and around.is_word(1) else None


def _id(around: _Around) -> str | None:
    return "names by id" if around.is_word(1) and around.value(2) == "as" else None


def _qualify(around: _Around) -> str | None:
    return "QUALIFY" if around.value(-1) not in (".", "as") else None


_FOREIGN: dict[str, Callable[[_Around], str | None]] = {
    "mutually": _recursion,
    "options": _hints,
    "list": _list,
    "map": _map,
    "nulls": _nulls,
    "show": _show,
    "[": _id,
    "qualify": _qualify,
}


def parse_query(reader: Reader) -> Statement | None:
    """Find `AS OF` at the end of a query; without it the query is PostgreSQL's."""
    tokens = reader.source.tokens
    depth = 0
    for at, token in enumerate(tokens[:-1]):
        depth += {"(": 1, ")": -1}.get(token.value, 0)
        if (
            depth == 0
            and token.value == "as"
            and token.kind == WORD
            and tokens[at + 1].value == "of"
            and at + 2 < len(tokens)
        ):
            raise not_supported("AS OF in queries", token.start)
    return None


def parse_explain(reader: Reader) -> Statement | None:
    """Parse what follows EXPLAIN: the plans are PostgreSQL's, and so are the ways to ask for them."""
    first, second = reader.peek(), reader.peek(1)
    is_of_materialize = (
        first.value in _PLANS
        or (first.value == "with" and second.value == "(")
        or (first.value in ("analyze", "analyse") and second.value in _ANALYZED)
    )
    if first.kind == WORD and is_of_materialize:
        raise not_supported("EXPLAIN of what Materialize does; EXPLAIN SELECT shows PostgreSQL's plan", first.start)
    return parse_query(reader)


def parse_execute(reader: Reader) -> Statement | None:
    """Parse what follows EXECUTE."""
    if reader.is_word("unit", "test"):
        raise not_supported("unit tests", reader.peek().start)
    return None
