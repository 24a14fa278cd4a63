"""ALTER, DROP and COMMENT."""

from __future__ import annotations

from collections.abc import Callable

from thedata_cli.components.materialize.emulator.errors import not_supported
from thedata_cli.components.materialize.emulator.grammar import Reader
from thedata_cli.components.materialize.emulator.options import literal, refuse_unknown, retention_ms
from thedata_cli.components.materialize.emulator.parse_roles import parse_alter_role
from thedata_cli.components.materialize.emulator.statements import (
    MATERIALIZED_VIEW,
    Accepted,
    AlterCluster,
    AlterSecret,
    ApplyReplacement,
    Comment,
    Drop,
    Name,
    Rename,
    SetRetention,
    Statement,
    Swap,
    Text,
)

_KINDS = (
    "source",
    "table",
    "view",
    "index",
    "secret",
    "cluster",
    "schema",
    "role",
    "database",
    "connection",
    "sink",
    "type",
)
_REFUSED_KINDS = (("cluster", "replica"), ("network", "policy"), ("metric", "sink"), ("function",), ("subsource",))
_REFUSED_ACTIONS = ("add", "drop", "refresh", "rotate")


def _kind(reader: Reader) -> str:
    if reader.take("materialized", "view"):
        return MATERIALIZED_VIEW
    for words in _REFUSED_KINDS:
        if reader.is_word(*words):
            raise not_supported(f"{' '.join(words).upper()} as a kind of object", reader.peek().start)
    for word in _KINDS:
        if reader.take(word):
            return word
    if reader.take("user"):
        return "role"
    raise reader.unexpected("a kind of object")


def parse_drop(reader: Reader) -> Statement:
    """Parse what follows DROP."""
    if reader.is_word("owned"):
        raise not_supported("DROP OWNED", reader.peek().start)
    position = reader.peek().start
    kind = _kind(reader)
    if kind == "database":
        raise not_supported("DROP DATABASE", position)
    if_exists = reader.if_exists()
    names = [reader.name()]
    while reader.take_symbol(","):
        names.append(reader.name())
    cascade = reader.take("cascade")
    if not cascade:
        reader.take("restrict")
    reader.expect_end()
    return Drop(f"DROP {kind.replace('-', ' ').upper()}", kind, tuple(names), if_exists, cascade)


def parse_alter(reader: Reader) -> Statement:
    """Parse what follows ALTER."""
    for word in ("system", "default"):
        if reader.is_word(word):
            raise not_supported(f"ALTER {word.upper()}", reader.peek().start)
    kind = _kind(reader)
    if kind == "role":
        return parse_alter_role(reader)
    tag = f"ALTER {kind.replace('-', ' ').upper()}"
    if_exists = reader.if_exists()
    name = reader.name()
    for words, parse in _ALTERATIONS.items():
        if reader.take(*words):
            statement = parse(reader, tag, kind, name, if_exists)
            reader.expect_end()
            return statement
    for word in _REFUSED_ACTIONS:
        if reader.is_word(word):
            raise not_supported(f"{tag} … {word.upper()}", reader.peek().start)
    raise reader.unexpected("RENAME, SET, RESET, SWAP, OWNER, APPLY or AS")


def _rename(reader: Reader, tag: str, kind: str, name: Name, if_exists: bool) -> Statement:
    return Rename(tag, kind, name, if_exists, reader.identifier())


def _swap(reader: Reader, tag: str, kind: str, name: Name, _if_exists: bool) -> Statement:
    if kind not in ("schema", "cluster"):
        raise not_supported(f"{tag} … SWAP", name.position)
    if kind == "cluster" and len(name.parts) > 1:
        raise reader.unexpected("a name of one part")
    position = reader.peek().start
    return Swap(tag, kind, name, Name((reader.identifier(),), position))


def _owner(reader: Reader, tag: str, _kind: str, _name: Name, _if_exists: bool) -> Statement:
    reader.identifier()
    return Accepted(tag)


def _apply(reader: Reader, tag: str, _kind: str, name: Name, _if_exists: bool) -> Statement:
    return ApplyReplacement(tag, name, reader.name())


def _secret_value(reader: Reader, tag: str, _kind: str, name: Name, if_exists: bool) -> Statement:
    return AlterSecret(tag, name, if_exists, reader.rest())


def _set(reader: Reader, tag: str, kind: str, name: Name, if_exists: bool) -> Statement:
    if reader.is_word("cluster") or reader.is_word("from"):
        raise not_supported(f"{tag} … SET {reader.peek().value.upper()}", reader.peek().start)
    options = _some_options(reader)
    if kind == "cluster":
        if reader.take("with"):
            # Waiting until a cluster is ready needs no time here.
            reader.options()
        return AlterCluster(tag, name, if_exists, {key: literal(value) for key, value in options.items()})
    retain = retention_ms(options)
    refuse_unknown(options, tag)
    return SetRetention(tag, kind, name, if_exists, retain)


def _some_options(reader: Reader) -> dict[str, Text]:
    if reader.peek(1).value == ")":
        raise reader.unexpected("an option in parentheses")
    return reader.options()


def _reset(reader: Reader, tag: str, kind: str, name: Name, if_exists: bool) -> Statement:
    options = _some_options(reader)
    if kind == "cluster":
        return AlterCluster(tag, name, if_exists, dict.fromkeys(options, ""))
    options.pop("retain history", None)
    refuse_unknown(options, tag)
    return SetRetention(tag, kind, name, if_exists, None)


_ALTERATIONS: dict[tuple[str, ...], Callable[[Reader, str, str, Name, bool], Statement]] = {
    ("rename", "to"): _rename,
    ("swap", "with"): _swap,
    ("owner", "to"): _owner,
    ("apply", "replacement"): _apply,
    ("as",): _secret_value,
    ("set",): _set,
    ("reset",): _reset,
}


def parse_comment(reader: Reader) -> Statement:
    """Parse what follows COMMENT."""
    reader.expect("on")
    column = None
    if reader.take("column"):
        kind, name = "relation", reader.name()
        if len(name.parts) < 2:
            raise reader.unexpected("a table and a column")
        column, name = name.last, Name(name.parts[:-1], name.position)
    else:
        kind = _kind(reader)
        name = reader.name()
    reader.expect("is")
    text = None if reader.take("null") else reader.string()
    reader.expect_end()
    return Comment("COMMENT", kind, name, column, text)
