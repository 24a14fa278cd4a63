"""Where a statement ends and its data begins, read with a tokenizer and without the engine.

The body of a request is SQL, data, or SQL followed by data. Only the words that decide this are looked
at here; whether the SQL is right is the engine's to say.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from thedata_cli.components.clickhouse.server.errors import (
    INTO_OUTFILE_NOT_ALLOWED,
    NOT_IMPLEMENTED,
    SYNTAX_ERROR,
    ClickHouseError,
)

_TOKEN = re.compile(
    rb"""
    (?P<blank>[\s\x00\xa0]+ | --[^\n]*(?:\n|\Z) | \#[ !][^\n]*(?:\n|\Z) | /\*.*?\*/)
  | (?P<heredoc>\$(?P<mark>\w*)\$.*?\$(?P=mark)\$)
  | (?P<string>'(?:[^'\\]|\\.|'')*')
  | (?P<quoted>`(?:[^`\\]|\\.|``)*` | "(?:[^"\\]|\\.|"")*")
  | (?P<word>[A-Za-z_][\w$]*)
  | (?P<number>\d[\w]*)
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<unended>['"`]|/\*)
  | (?P<sign>.)
    """,
    re.DOTALL | re.VERBOSE,
)
_RESULT_WORDS = frozenset(b"SELECT WITH FROM SHOW DESC DESCRIBE EXPLAIN EXISTS CHECK KILL BACKUP RESTORE (".split())


class Kind(Enum):
    """What the server has to do with a statement."""

    RESULT = "result"
    """Can produce rows, and its grammar takes INTO OUTFILE and FORMAT."""
    INSERT_DATA = "insert data"
    """INSERT with rows that follow the statement."""
    INSERT_INPUT = "insert input"
    """INSERT … SELECT … FROM input('columns') FORMAT x, with rows that follow the statement."""
    COMMAND = "command"
    """Everything else."""


@dataclass(frozen=True)
class Statement:
    """One statement without its FORMAT clause, and where the data after it starts."""

    kind: Kind
    sql: bytes
    """Up to FORMAT, VALUES or the SETTINGS before them."""
    format: str | None = None
    settings_clause: bytes = b""
    """The SETTINGS that stand beside FORMAT: behind it in a result, before it in an INSERT with rows."""
    data_offset: int | None = None
    """Set for both kinds of INSERT whose rows follow."""


class UnfinishedError(Exception):
    """The text stops inside the statement: more of the body has to be read."""


@dataclass(frozen=True)
class _Token:
    type: str
    text: bytes
    start: int
    end: int
    depth: int

    @property
    def word(self) -> bytes:
        """The keyword this token would be, else its text."""
        return self.text.upper() if self.type == "word" else self.text


def split_statement(text: bytes, *, complete: bool) -> Statement:
    r"""Split the text of a request into the statement and its data.

    Args:
        text: The `query` parameter followed by the body, or the first part of them.
        complete: Whether `text` is all there will be.

    Raises:
        UnfinishedError: `complete` is false and the end of the statement is not in `text`.
        ClickHouseError: Empty, several statements, or a clause that HTTP does not allow.

    Example:
        >>> split_statement(b"INSERT INTO t FORMAT CSV\n1,2", complete=True).data_offset
        25
    """
    tokens = _tokens(text, complete=complete)
    first = next(tokens, None)
    if first is None or first.text == b";":
        raise _unfinished_or(complete, ClickHouseError(SYNTAX_ERROR, "Syntax error: empty query."))
    if first.word == b"INSERT":
        return _split_insert(text, tokens, complete=complete)
    return _split_other(text, first, tokens, complete=complete)


def _unfinished_or(complete: bool, error: ClickHouseError) -> Exception:
    return error if complete else UnfinishedError()


def _tokens(text: bytes, *, complete: bool) -> Iterator[_Token]:
    depth = 0
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        assert found is not None, "the last branch of the pattern takes any byte"
        position = found.end()
        if position == len(text) and not complete:
            raise UnfinishedError
        kind = found.lastgroup or "sign"
        if kind == "mark":
            kind = "heredoc"
        if kind == "unended":
            raise _unfinished_or(
                complete, ClickHouseError(SYNTAX_ERROR, "Syntax error: a quote or comment is not closed.")
            )
        if kind == "close":
            depth -= 1
        if kind != "blank":
            yield _Token(kind, found[0], found.start(), position, depth)
        if kind == "open":
            depth += 1


@dataclass(frozen=True)
class _InsertClauses:
    """Where the parts behind an INSERT's target begin."""

    rows: _Token | None
    """The word that tells where the rows come from, or the end of the statement."""
    settings: _Token | None
    has_select: bool


def _split_insert(text: bytes, tokens: Iterator[_Token], *, complete: bool) -> Statement:
    clauses = _insert_clauses(tokens)
    end = clauses.rows
    if end is None or end.text == b";":
        if end is not None:
            _refuse_second_statement(tokens)
        if not complete:
            raise UnfinishedError
        return Statement(Kind.COMMAND, text[: end.start] if end else text)
    if end.word == b"INFILE":
        message = "INSERT FROM INFILE is not allowed over HTTP; send the rows in the body."
        raise ClickHouseError(NOT_IMPLEMENTED, message)
    kind = Kind.INSERT_INPUT if clauses.has_select else Kind.INSERT_DATA
    if end.word == b"VALUES":
        input_format, offset = "Values", end.end
    else:
        input_format, offset = _input_format(text, tokens, complete=complete)
    settings = clauses.settings if kind is Kind.INSERT_DATA else None
    sql = text[: settings.start if settings else end.start]
    return Statement(kind, sql, input_format, text[settings.start : end.start] if settings else b"", offset)


def _insert_clauses(tokens: Iterator[_Token]) -> _InsertClauses:
    target_seen = has_select = False
    settings: _Token | None = None
    for token in tokens:
        if token.text == b";":
            return _InsertClauses(token, settings, has_select)
        if token.depth or token.type not in ("word", "quoted", "sign"):
            continue
        if token.type == "sign":
            # The dot of `database.table` makes the next word a part of the target.
            target_seen = target_seen and token.text != b"."
        elif not target_seen:
            target_seen = token.word not in (b"INTO", b"TABLE", b"FUNCTION", b"TEMPORARY")
        elif token.word in (b"SELECT", b"WITH"):
            has_select = True
        elif token.word in (b"FORMAT", b"INFILE") or (token.word == b"VALUES" and not has_select):
            return _InsertClauses(token, settings, has_select)
        elif token.word == b"SETTINGS":
            settings = settings or token
    return _InsertClauses(None, settings, has_select)


def _input_format(text: bytes, tokens: Iterator[_Token], *, complete: bool) -> tuple[str, int]:
    """The name behind FORMAT, and where the data starts: behind blanks and one newline."""
    name = next(tokens, None)
    if name is None or name.type != "word":
        raise _unfinished_or(complete, ClickHouseError(SYNTAX_ERROR, "Syntax error: expected the name of a format."))
    offset = name.end
    while text[offset : offset + 1] in (b" ", b"\t", b"\r"):
        offset += 1
    if offset == len(text) and not complete:
        raise UnfinishedError
    if text[offset : offset + 1] == b";":
        offset += 1
    if text[offset : offset + 1] == b"\n":
        offset += 1
    return name.text.decode(), offset


def _split_other(text: bytes, first: _Token, tokens: Iterator[_Token], *, complete: bool) -> Statement:
    kind = Kind.RESULT if first.word in _RESULT_WORDS else Kind.COMMAND
    kept = [first]
    for token in tokens:
        if token.text == b";" and token.depth == 0:
            _refuse_second_statement(tokens)
            break
        kept.append(token)
    if not complete:
        raise UnfinishedError
    top_level = [token for token in kept if token.depth == 0]
    if kind is Kind.RESULT and any(token.word == b"INSERT" for token in top_level) and first.word == b"WITH":
        kind = Kind.COMMAND
    for before, token in itertools.pairwise(top_level):
        if before.word == b"INTO" and token.word == b"OUTFILE":
            raise ClickHouseError(INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE is not allowed over HTTP.")
    end = kept[-1].end
    clause = _format_clause(top_level)
    if kind is Kind.COMMAND or clause is None:
        return Statement(kind, text[:end])
    word, name = clause
    return Statement(kind, text[: word.start], name.text.decode(), text[name.end : end])


def _format_clause(top_level: list[_Token]) -> tuple[_Token, _Token] | None:
    """The last FORMAT and its name; a column may be called `format`, so what follows must fit."""
    for index in range(len(top_level) - 2, 0, -1):
        word, name = top_level[index], top_level[index + 1]
        following = top_level[index + 2] if index + 2 < len(top_level) else None
        if word.word == b"FORMAT" and name.type == "word" and (following is None or following.word == b"SETTINGS"):
            return word, name
    return None


def split_input(sql: bytes) -> tuple[bytes, str, bytes]:
    """Take `input('columns')` out of a SELECT.

    Returns:
        The SQL before it, its columns, and the SQL after it.

    Raises:
        ClickHouseError: There is no such call, so rows behind the statement have no way in.
    """
    tokens = list(_tokens(sql, complete=True))
    for word, bracket, columns, end in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False):
        if word.word == b"INPUT" and bracket.text == b"(" and columns.type == "string" and end.text == b")":
            structure = re.sub(rb"\\(.)|''", lambda found: found[1] or b"'", columns.text[1:-1])
            return sql[: word.start], structure.decode("utf-8", "surrogateescape"), sql[end.end :]
    raise ClickHouseError(SYNTAX_ERROR, "Syntax error: INSERT SELECT FORMAT needs the function input('columns').")


def _refuse_second_statement(tokens: Iterator[_Token]) -> None:
    if any(token.text != b";" for token in tokens):
        raise ClickHouseError(SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed): send one at a time.")
