"""SQL as tokens: enough to find statements, keywords, names and clauses; expressions are left to PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from thedata_cli.components.materialize.emulator.errors import SYNTAX_ERROR, EmulatorError

WORD, QUOTED, STRING, NUMBER, PARAMETER, SYMBOL, END = (
    "word",
    "quoted",
    "string",
    "number",
    "parameter",
    "symbol",
    "end",
)

_TOKEN = re.compile(
    r"""(?P<space>(?:\s+|--[^\n]*)+)
      | (?P<comment>/\*)
      | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<word>[A-Za-z_\u0080-\U0010ffff][\w$\u0080-\U0010ffff]*)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<parameter>\$\d+)
      | (?P<dollar>\$(?P<tag>\w*)\$)
      | (?P<symbol>::|=>|->>|->|[<>=!~@\#%^&|`?]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the source.

    Attributes:
        kind: One of the constants of this module.
        value: Words in lower case, quoted names and strings without their quotes, the rest as written.
        start: Index of its first character in the source.
        end: Index after its last character.
    """

    kind: str
    value: str
    start: int
    end: int

    def __str__(self) -> str:
        if self.kind == END:
            return "end of statement"
        return f'"{self.value}"' if self.kind != STRING else f"string {self.value!r}"


def tokenize(sql: str) -> list[Token]:
    """Return the tokens of `sql`, comments and white space left out.

    Raises:
        EmulatorError: A string, name or comment does not end.

    Example:
        >>> [token.value for token in tokenize('CREATE TABLE "T" (a int) -- all')]
        ['create', 'table', 'T', '(', 'a', 'int', ')']
    """
    tokens: list[Token] = []
    at = 0
    while at < len(sql):
        found = _TOKEN.match(sql, at)
        if found is None:
            raise EmulatorError(SYNTAX_ERROR, "unexpected character", position=at)
        kind, end = str(found.lastgroup if found.lastgroup != "tag" else "dollar"), found.end()
        if kind == "comment":
            end = _comment_end(sql, at)
        elif kind == "dollar":
            end = _dollar_end(sql, at, found.group())
            tag = found.group()
            tokens.append(Token(STRING, sql[at + len(tag) : end - len(tag)], at, end))
        elif kind != "space":
            tokens.append(_token(kind, found.group(), at, end))
        at = end
    return tokens


def _token(kind: str, text: str, start: int, end: int) -> Token:
    if kind == SYMBOL and text in ("'", '"'):
        what = "unterminated quoted string" if text == "'" else "unterminated quoted identifier"
        raise EmulatorError(SYNTAX_ERROR, what, position=start)
    if kind == WORD:
        text = text.lower()
    elif kind == QUOTED:
        text = text[1:-1].replace('""', '"')
        if not text:
            raise EmulatorError(SYNTAX_ERROR, "zero-length delimited identifier", position=start)
    elif kind == STRING:
        text = _string_value(text)
    return Token(kind, text, start, end)


def _string_value(text: str) -> str:
    prefix, _, body = text.partition("'")
    body = body[:-1].replace("''", "'")
    if prefix in ("e", "E"):
        escapes = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
        return re.sub(r"\\(.)", lambda found: escapes.get(found.group(1), found.group(1)), body)
    return body


def _comment_end(sql: str, start: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    raise EmulatorError(SYNTAX_ERROR, "unterminated multiline comment", position=start)


def _dollar_end(sql: str, start: int, tag: str) -> int:
    end = sql.find(tag, start + len(tag))
    if end < 0:
        raise EmulatorError(SYNTAX_ERROR, "unterminated dollar-quoted string", position=start)
    return end + len(tag)


@dataclass(frozen=True)
class Source:
    """One statement of a client's text.

    Attributes:
        text: The client's whole text.
        tokens: The statement's tokens, without its semicolon; positions are those in `text`.
    """

    text: str
    tokens: Sequence[Token]

    @property
    def start(self) -> int:
        """Index of its first character in `text`."""
        return self.tokens[0].start

    @property
    def sql(self) -> str:
        """The statement as written."""
        return self.text[self.start : self.tokens[-1].end]

    def starts_with(self, *words: str) -> bool:
        """Whether the statement begins with these keywords."""
        return [token.value for token in self.tokens[: len(words)] if token.kind == WORD] == list(words)

    def words(self) -> set[str]:
        """All words and names in it, in lower case."""
        return {token.value.lower() for token in self.tokens if token.kind in (WORD, QUOTED)}


def split(sql: str) -> list[Source]:
    """Return the statements of a text; empty ones are left out.

    Example:
        >>> [one.sql for one in split("SELECT ';'; ; SHOW sources")]
        ["SELECT ';'", 'SHOW sources']
    """
    statements: list[Source] = []
    tokens: list[Token] = []
    for token in tokenize(sql):
        if token.kind == SYMBOL and token.value == ";":
            if tokens:
                statements.append(Source(sql, tokens))
            tokens = []
        else:
            tokens.append(token)
    if tokens:
        statements.append(Source(sql, tokens))
    return statements


def quote_name(name: str) -> str:
    """Return an SQL identifier, always quoted."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return an SQL string literal."""
    literal = "'" + text.replace("'", "''") + "'"
    return " E" + literal.replace("\\", "\\\\") if "\\" in text else literal


_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_$]*\Z")
_RESERVED = frozenset(
    [
        "all",
        "and",
        "any",
        "as",
        "between",
        "by",
        "case",
        "cast",
        "check",
        "constraint",
        "create",
        "cross",
        "current_date",
        "current_time",
        "current_timestamp",
        "default",
        "delete",
        "distinct",
        "drop",
        "else",
        "end",
        "except",
        "exists",
        "false",
        "fetch",
        "for",
        "from",
        "full",
        "group",
        "having",
        "in",
        "inner",
        "insert",
        "intersect",
        "into",
        "is",
        "join",
        "lateral",
        "left",
        "like",
        "limit",
        "natural",
        "not",
        "null",
        "offset",
        "on",
        "or",
        "order",
        "outer",
        "primary",
        "references",
        "returning",
        "right",
        "select",
        "set",
        "some",
        "table",
        "then",
        "to",
        "true",
        "union",
        "unique",
        "update",
        "user",
        "using",
        "values",
        "when",
        "where",
        "window",
        "with",
    ]
)


def display_name(name: str) -> str:
    """Return an SQL identifier, quoted only where it must be.

    Example:
        >>> display_name("events"), display_name("Order"), display_name("order")
        ('events', '"Order"', '"order"')
    """
    return name if _PLAIN_NAME.match(name) and name not in _RESERVED else quote_name(name)
