"""Materialize's SQL as text: tokens with their places, quoting, and a digest that equal statements share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from thedata_cli.component_api.sql_files import SqlMistakeError

_TOKEN = re.compile(
    r"""(?P<space>(?:\s+|--[^\n]*)+)
      | (?P<comment>/\*)
      | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*")
      | (?P<word>[^\W\d][\w$]*)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
      | (?P<symbol>.)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_FORMLESS = re.compile(r"[a-z_][a-z0-9_$]*")


class TokenKind(Enum):
    """What a token is."""

    WORD = "word"
    QUOTED = "quoted"
    STRING = "string"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text.

    Attributes:
        value: Words in lower case, quoted names without their quotes, all else as written.
        start: Index of its first character.
        end: Index after its last one.
    """

    kind: TokenKind
    value: str
    start: int
    end: int

    @property
    def is_name(self) -> bool:
        """Whether it can be a part of a name."""
        return self.kind in (TokenKind.WORD, TokenKind.QUOTED)

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords."""
        return self.kind is TokenKind.WORD and self.value in words

    def is_symbol(self, symbol: str) -> bool:
        """Whether it is this symbol."""
        return self.kind is TokenKind.OTHER and self.value == symbol


def tokenize(sql: str) -> list[Token]:
    """Return the tokens, comments and white space left out.

    Raises:
        SqlMistakeError: A string, name or comment does not end.

    Example:
        >>> [token.value for token in tokenize('CREATE TABLE "T" (a int) -- all')]
        ['create', 'table', 'T', '(', 'a', 'int', ')']
    """
    tokens: list[Token] = []
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        assert match is not None
        text, end = match[0], match.end()
        if match["comment"]:
            end = _comment_end(sql, at)
        elif match["dollar"]:
            end = _dollar_end(sql, at, text)
            tokens.append(Token(TokenKind.STRING, sql[at:end], at, end))
        elif not match["space"]:
            tokens.append(_token(match, text))
        at = end
    return tokens


def _token(match: re.Match[str], text: str) -> Token:
    start, end = match.span()
    if match["word"]:
        return Token(TokenKind.WORD, text.lower(), start, end)
    if match["quoted"]:
        return Token(TokenKind.QUOTED, text[1:-1].replace('""', '"'), start, end)
    if text in ("'", '"'):
        raise SqlMistakeError(start, "the string does not end" if text == "'" else "the quoted name does not end")
    return Token(TokenKind.STRING if match["string"] else TokenKind.OTHER, text, start, end)


def _comment_end(sql: str, start: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise SqlMistakeError(start, "the comment does not end")


def _dollar_end(sql: str, start: int, tag: str) -> int:
    end = sql.find(tag, start + len(tag))
    if end < 0:
        raise SqlMistakeError(start, "the string does not end")
    return end + len(tag)


def name_parts(tokens: Sequence[Token], at: int) -> list[Token]:
    """Return the parts of the name that begins at a token; none where none begins."""
    parts: list[Token] = []
    while at < len(tokens) and tokens[at].is_name:
        parts.append(tokens[at])
        if not (at + 1 < len(tokens) and tokens[at + 1].is_symbol(".")):
            break
        at += 2
    return parts


def digest_of(tokens: Sequence[Token]) -> str:
    r"""Return 16 hex digits that change when the meaning does; white space, comments and case of words do not count.

    Example:
        >>> digest_of(tokenize('select "a" from T')) == digest_of(tokenize("SELECT a -- it\n FROM t"))
        True
    """
    words = [quoted(token.value) if _needs_quotes(token) else token.value for token in tokens]
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]


def _needs_quotes(token: Token) -> bool:
    return token.kind is TokenKind.QUOTED and _FORMLESS.fullmatch(token.value) is None


def quoted(name: str) -> str:
    """Quote a name.

    Example:
        >>> quoted("delays")
        '"delays"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a string as the standard has it: a backslash stands for itself.

    Example:
        >>> literal("it's")
        "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"
