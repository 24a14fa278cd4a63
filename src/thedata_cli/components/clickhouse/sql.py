"""Reading and writing SQL text: names, literals, tokens, and the tables that a query reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<blank>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<string>'(?:[^'\\]|\\.|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<name>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
    | (?P<number>\d[\w.]*)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"b": "\b", "f": "\f", "r": "\r", "n": "\n", "t": "\t", "0": "\0", "a": "\a", "v": "\v"}
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_AFTER_TABLES = frozenset({
    "WHERE", "PREWHERE", "GROUP", "ORDER", "LIMIT", "SETTINGS", "UNION", "INTERSECT", "EXCEPT", "HAVING", "WINDOW",
    "QUALIFY", "ON", "USING", "SELECT",
})  # fmt: skip


def quoted(name: str) -> str:
    """Return a name as SQL takes it, whatever it is.

    Example:
        >>> quoted("my`table")
        '`my``table`'
    """
    return "`" + name.replace("\\", "\\\\").replace("`", "``") + "`"


def literal(text: str) -> str:
    r"""Return a string literal.

    Example:
        >>> literal("it's")
        "'it\\'s'"
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def unquoted(token: str) -> str:
    """Return the text behind a string literal or a quoted name; other tokens as they are.

    Example:
        >>> unquoted("'it''s'"), unquoted("`a b`"), unquoted("8192")
        ("it's", 'a b', '8192')
    """
    quote = token[:1]
    if quote not in ("'", "`", '"'):
        return token
    body = re.sub(re.escape(quote) * 2, lambda _: quote, token[1:-1])
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), body, flags=re.DOTALL)


def literal_of(value: str) -> str:
    """Return the value of a setting as SQL takes it: numbers bare, everything else as a string."""
    return value if re.fullmatch(r"-?\d+(\.\d+)?", value) else literal(value)


@dataclass(frozen=True)
class Token:
    """A piece of SQL; blanks and comments are none.

    Attributes:
        kind: `string`, `name` (quoted), `number`, `word` or `sign`.
        depth: How many brackets are open around it; a bracket itself counts as outside.
    """

    kind: str
    text: str
    start: int
    end: int
    depth: int

    @property
    def keyword(self) -> str:
        """The word in capitals; empty when it is no word."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def is_identifier(self) -> bool:
        """Whether it can be a name."""
        return self.kind in ("word", "name")


def tokens(sql: str) -> Iterator[Token]:
    """Split SQL into its tokens."""
    depth = 0
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or ""
        if kind == "blank":
            continue
        text = match.group()
        if text in _CLOSING:
            depth -= 1
        yield Token(kind, text, match.start(), match.end(), depth)
        if text in _OPENING:
            depth += 1


def split_list(sql: str) -> list[str]:
    """Split a list at its outermost commas.

    Example:
        >>> split_list("a, f(b, c), 'x,y'")
        ['a', 'f(b, c)', "'x,y'"]
    """
    cuts = [token.start for token in tokens(sql) if token.text == "," and token.depth == 0]
    ranges = zip([0, *(cut + 1 for cut in cuts)], [*cuts, len(sql)], strict=True)
    parts = [sql[start:end].strip() for start, end in ranges]
    return [part for part in parts if part]


def imbalance(sql: str) -> str:
    """Say what makes a text less or more than one expression; empty when nothing does.

    Example:
        >>> imbalance("f(a"), imbalance("a; b"), imbalance("f(a, ')')")
        ('a bracket is never closed', "unexpected ';'", '')
    """
    depth = 0
    for token in tokens(sql):
        if token.kind != "sign":
            continue
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth < 0 or token.text in ";'`\"":
            return f"unexpected {token.text!r}"
    return "a bracket is never closed" if depth else ""


def identifiers(sql: str) -> frozenset[str]:
    """Return every name in an expression, those of functions included."""
    return frozenset(unquoted(token.text) for token in tokens(sql) if token.is_identifier)


@dataclass(frozen=True)
class TableReference:
    """A table that a query reads; `start` and `end` enclose its name, the database included."""

    database: str
    table: str
    start: int
    end: int


def table_references(query: str) -> Iterator[TableReference]:
    """Yield the tables named after FROM, JOIN and IN; functions, subqueries and ARRAY JOIN are none.

    Example:
        >>> [(table.database, table.table) for table in table_references("SELECT 1 FROM a, `b c`.d JOIN e USING (x)")]
        [('', 'a'), ('b c', 'd'), ('', 'e')]
    """
    parts = list(tokens(query))
    named = _named_subqueries(parts)
    listing: dict[int, bool] = {}
    expected = False
    index = 0
    while index < len(parts):
        token = parts[index]
        if expected and token.is_identifier and token.keyword not in _AFTER_TABLES:
            width = 3 if _is_qualified(parts, index) else 1
            last = parts[index + width - 1]
            is_function = index + width < len(parts) and parts[index + width].text == "("
            if not is_function and (width == 3 or unquoted(token.text) not in named):
                database = unquoted(token.text) if width == 3 else ""
                yield TableReference(database, unquoted(last.text), token.start, last.end)
            expected = False
            index += width
            continue
        expected = False
        if token.keyword == "FROM" or (token.keyword == "JOIN" and parts[index - 1].keyword != "ARRAY"):
            listing[token.depth] = expected = True
        elif token.keyword == "IN":
            expected = True
        elif token.keyword in _AFTER_TABLES or token.text in _CLOSING or token.keyword == "ARRAY":
            listing[token.depth + (token.text in _CLOSING)] = False
        elif token.text == "," and listing.get(token.depth):
            expected = True
        index += 1


def _named_subqueries(parts: Sequence[Token]) -> frozenset[str]:
    """Return the names that WITH gives to subqueries: `name AS (SELECT …`."""
    return frozenset(
        unquoted(name.text)
        for name, word, bracket, first in zip(parts, parts[1:], parts[2:], parts[3:], strict=False)
        if name.is_identifier and word.keyword == "AS" and bracket.text == "(" and first.keyword in ("SELECT", "WITH")
    )


def _is_qualified(parts: Sequence[Token], index: int) -> bool:
    return index + 2 < len(parts) and parts[index + 1].text == "." and parts[index + 2].is_identifier


def unqualified(query: str, database: str) -> str:
    """Return a query with `database.` left out before the tables it reads.

    Example:
        >>> unqualified("SELECT flights.a FROM flights.b AS flights", "flights")
        'SELECT flights.a FROM b AS flights'
    """
    pieces = []
    position = 0
    for reference in table_references(query):
        if reference.database == database:
            name = query[reference.start : reference.end]
            pieces += [query[position : reference.start], name[_table_offset(name) :]]
            position = reference.end
    return "".join(pieces) + query[position:]


def _table_offset(name: str) -> int:
    return list(tokens(name))[-1].start


_CLAUSES = {
    "ENGINE": "engine",
    "PARTITION BY": "partition_by",
    "PRIMARY KEY": "primary_key",
    "ORDER BY": "order_by",
    "SAMPLE BY": "sample_by",
    "TTL": "ttl",
    "SETTINGS": "settings",
    "COMMENT": "comment",
}


def table_clauses(definition: str) -> Mapping[str, str]:
    """Return what follows the columns in the server's own text of a table, by clause.

    Example:
        >>> dict(table_clauses("ENGINE = MergeTree ORDER BY (a, b) SETTINGS index_granularity = 8192"))
        {'engine': 'MergeTree', 'order_by': '(a, b)', 'settings': 'index_granularity = 8192'}
    """
    found: list[tuple[str, int, int]] = []
    outside = [token for token in tokens(definition) if token.depth == 0]
    for index, token in enumerate(outside):
        if token.kind != "word":
            continue
        following = outside[index + 1] if index + 1 < len(outside) else token
        for words, end in ((token.text, token.end), (f"{token.text} {following.text}", following.end)):
            if words in _CLAUSES:
                found.append((_CLAUSES[words], token.start, end))
    ends = [start for _, start, _ in found[1:]] + [len(definition)]
    return {
        clause: definition[begin:end].strip().removeprefix("=").strip()
        for (clause, _, begin), end in zip(found, ends, strict=True)
    }


def settings_of(clause: str) -> dict[str, str]:
    """Read a SETTINGS clause; values are plain text, flags are 0 and 1.

    Example:
        >>> settings_of("index_granularity = 8192, storage_policy = 'hot'")
        {'index_granularity': '8192', 'storage_policy': 'hot'}
    """
    settings = {}
    for part in split_list(clause):
        name, _, value = part.partition("=")
        text = unquoted(value.strip())
        settings[name.strip()] = {"true": "1", "false": "0"}.get(text, text)
    return settings
