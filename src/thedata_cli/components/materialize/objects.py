"""What a project declares of Materialize: one CREATE statement a file, read for its name, kind and references."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

from pydantic import ValidationError

from thedata_cli.component_api.declarations import Model
from thedata_cli.component_api.sql_files import SqlDeclaration, SqlMistakeError
from thedata_cli.components.materialize.secret_values import value_variable
from thedata_cli.components.materialize.sql_text import Token, digest_of, name_parts, tokenize
from thedata_cli.components.materialize.webhook_sources import check_secrets

DATABASE, SCHEMA = "materialize", "public"
CLUSTER, SECRET, SOURCE, TABLE, VIEW, MATERIALIZED_VIEW, INDEX = (
    "cluster", "secret", "source", "table", "view", "materialized_view", "index",
)  # fmt: skip
_KIND_OF = {
    ("cluster",): CLUSTER, ("secret",): SECRET, ("source",): SOURCE, ("table",): TABLE, ("view",): VIEW,
    ("materialized", "view"): MATERIALIZED_VIEW, ("index",): INDEX,
}  # fmt: skip
_EXPECTED = "a file holds one CREATE CLUSTER, SECRET, SOURCE … FROM WEBHOOK, TABLE, VIEW, MATERIALIZED VIEW or INDEX"
_END_OF_FROM = ("where", "group", "having", "order", "limit", "union", "except", "intersect", "select", "options")


class Reference(Model):
    """Another object that a statement names.

    Attributes:
        is_cluster: Clusters have names of their own; all else shares one set of names.
        offset: Index in the file's text.
    """

    name: str
    is_cluster: bool
    offset: int


class MaterializeObject(SqlDeclaration):
    """One file of `views/`."""

    kind: str
    statement: str
    """As written, without its semicolon."""

    references: tuple[Reference, ...]

    value: str = ""
    """Of a secret: the name under `secrets/` of what holds its value."""

    @property
    def is_cluster(self) -> bool:
        """Whether its name is one of the clusters'."""
        return self.kind == CLUSTER

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the text of a file.

        Raises:
            SqlMistakeError: It does not hold one CREATE statement of an object that can be declared.
        """
        tokens = _only_statement(text)
        kind, at = _kind(tokens)
        name, name_token, after = _own_name(tokens, at, kind)
        rest = tokens[after:]
        _check_webhook(kind, rest, name_token)
        value = value_variable(name, rest, tokens[-1]) if kind == SECRET else ""
        references = tuple(_references(kind, rest))
        begin = tokens[0].start
        places = {"": begin, "name": name_token.start, **{f"references.{one.name}": one.offset for one in references}}
        try:
            return cls(
                name=name, offsets=places, kind=kind, statement=text[begin : tokens[-1].end], references=references,
                value=value,
            )  # fmt: skip
        except ValidationError:
            raise SqlMistakeError(name_token.start, f"{name!r} is no name here", "letters, digits, _ and -") from None


def definition_digest(statement: str) -> str:
    """Return the digest of what a statement creates, however it is spelled, and whatever is there already.

    Example:
        >>> definition_digest("CREATE VIEW v AS SELECT 1") == definition_digest("create or replace view V as select 1")
        True
    """
    tokens = tokenize(statement)
    _, at = _kind(tokens)
    head = at - 3 if _is_words(tokens, at - 3, "if", "not", "exists") else at
    begin = 3 if _is_words(tokens, 1, "or", "replace") else 1
    return digest_of([*tokens[begin:head], *tokens[at:]])


def _only_statement(text: str) -> list[Token]:
    statements: list[list[Token]] = [[]]
    for token in tokenize(text):
        if token.is_symbol(";"):
            statements.append([])
        else:
            statements[-1].append(token)
    filled = [statement for statement in statements if statement]
    if not filled:
        raise SqlMistakeError(0, "the file has no statement", _EXPECTED)
    if len(filled) > 1:
        raise SqlMistakeError(filled[1][0].start, "a second statement", "one object a file: move it to another")
    return filled[0]


def _kind(tokens: Sequence[Token]) -> tuple[str, int]:
    """Return the kind, and where the name begins."""
    if not tokens[0].is_word("create"):
        raise SqlMistakeError(tokens[0].start, f"{tokens[0].value.upper()} declares nothing", _EXPECTED)
    at = 3 if _is_words(tokens, 1, "or", "replace") else 1
    for words, kind in _KIND_OF.items():
        if _is_words(tokens, at, *words):
            at += len(words)
            return kind, at + 3 if _is_words(tokens, at, "if", "not", "exists") else at
    if _is_words(tokens, at, "default", "index"):
        raise SqlMistakeError(tokens[at].start, "the index has no name", "write CREATE INDEX name ON view (column, …)")
    if at >= len(tokens):
        raise SqlMistakeError(tokens[-1].start, "the statement ends early", _EXPECTED)
    raise SqlMistakeError(tokens[at].start, f"CREATE {tokens[at].value.upper()} cannot be declared", _EXPECTED)


def _own_name(tokens: Sequence[Token], at: int, kind: str) -> tuple[str, Token, int]:
    """Return the name, its token, and the index of the token after it."""
    if kind == INDEX and at < len(tokens) and tokens[at].is_word("on", "in"):
        raise SqlMistakeError(tokens[at].start, "the index has no name", "write CREATE INDEX name ON view (column, …)")
    parts = name_parts(tokens, at)
    if not parts:
        found = tokens[at] if at < len(tokens) else tokens[-1]
        raise SqlMistakeError(found.start, "a name is missing here")
    if not _is_here([part.value for part in parts]) or (kind == CLUSTER and len(parts) > 1):
        raise SqlMistakeError(
            parts[0].start, f"{'.'.join(part.value for part in parts)} is in another schema",
            f"only {DATABASE}.{SCHEMA} can be declared: write the last part alone",
        )  # fmt: skip
    return parts[-1].value, parts[-1], at + 2 * len(parts) - 1


def _check_webhook(kind: str, rest: Sequence[Token], name: Token) -> None:
    if kind != SOURCE:
        return
    at = next((number for number, token in enumerate(rest) if token.is_word("from")), None)
    if at is None:
        raise SqlMistakeError(name.start, "the source says not where it reads from", "write FROM WEBHOOK BODY FORMAT …")
    if not _is_words(rest, at + 1, "webhook"):
        found = rest[at + 1] if at + 1 < len(rest) else rest[at]
        raise SqlMistakeError(found.start, f"sources from {found.value.upper()} cannot be declared", "FROM WEBHOOK can")


def _references(kind: str, rest: Sequence[Token]) -> Iterator[Reference]:
    """Yield what the statement names, each once: cluster, secrets, what an index is on, what a query reads."""
    seen: set[tuple[bool, str]] = set()
    for parts, is_cluster in _named(kind, rest):
        if _is_here([part.value for part in parts]) and (key := (is_cluster, parts[-1].value)) not in seen:
            seen.add(key)
            yield Reference(name=parts[-1].value, is_cluster=is_cluster, offset=parts[0].start)


def _named(kind: str, rest: Sequence[Token]) -> Iterator[tuple[list[Token], bool]]:
    for at in range(len(rest)):
        if _is_words(rest, at, "in", "cluster") and (parts := name_parts(rest, at + 2)):
            yield parts, True
            break
    if kind == INDEX:
        at = next((number for number, token in enumerate(rest) if token.is_word("on")), len(rest))
        if parts := name_parts(rest, at + 1):
            yield parts, False
    elif kind in (VIEW, MATERIALIZED_VIEW):
        yield from ((parts, False) for parts in _relations(rest))
    elif kind in (SOURCE, TABLE):
        yield from ((parts, False) for parts in check_secrets(rest))


def _relations(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield the names in the FROM clauses of a query.

    May yield too much (a column, in `extract(epoch FROM at)`), never too little: what is missed would be created too
    early.
    """
    levels = [(False, False)]  # in a FROM clause, and next is a relation; one for each open parenthesis
    for at, token in enumerate(tokens):
        in_from, is_next = levels[-1]
        if token.is_symbol("("):
            levels.append((in_from and is_next, is_next))
        elif token.is_symbol(")"):
            if len(levels) > 1:
                levels.pop()
            levels[-1] = (levels[-1][0], False)
        elif token.is_word("from", "join"):
            is_comparison = token.value == "from" and at > 0 and tokens[at - 1].is_word("distinct")
            levels[-1] = (in_from, False) if is_comparison else (True, True)
        elif token.is_symbol(","):
            levels[-1] = (in_from, in_from)
        elif token.is_word(*_END_OF_FROM):
            levels[-1] = (False, False)
        elif is_next and token.is_name and not token.is_word("lateral", "only"):
            yield name_parts(tokens, at)
            levels[-1] = (in_from, False)


def _is_here(parts: Sequence[str]) -> bool:
    """Whether a name is one of the only schema whose objects can be declared."""
    return list(parts[:-1]) in ([], [SCHEMA], [DATABASE, SCHEMA])


def _is_words(tokens: Sequence[Token], at: int, *words: str) -> bool:
    found = tokens[at : at + len(words)] if at >= 0 else []
    return len(found) == len(words) and all(token.is_word(word) for token, word in zip(found, words, strict=True))
