"""Roles and privileges: read, so that what Materialize refuses is refused, and without effect."""

from __future__ import annotations

from thedata_cli.components.materialize.emulator.errors import SYNTAX_ERROR, EmulatorError, not_supported
from thedata_cli.components.materialize.emulator.grammar import Reader
from thedata_cli.components.materialize.emulator.statements import Accepted, Statement
from thedata_cli.components.materialize.emulator.tokens import WORD

_ATTRIBUTES = ("superuser", "login", "inherit", "createcluster", "createdb", "createrole")
_PRIVILEGES = (
    "insert", "select", "update", "delete", "usage", "create", "createrole", "createdb", "createcluster",
    "createnetworkpolicy",
)  # fmt: skip
_AS_TABLE = (("materialized", "view"), ("view",), ("source",))
_WITHOUT_PRIVILEGES = (
    ("metric", "sink"), ("sink",), ("index",), ("cluster", "replica"), ("role",), ("user",), ("function",),
    ("subsource",),
)  # fmt: skip
_GRANTED = (
    ("table",), ("type",), ("cluster",), ("secret",), ("connection",), ("database",), ("schema",),
    ("network", "policy"),
)  # fmt: skip
_ALL_OF_SCHEMAS = ("tables", "types", "secrets", "connections")
_ALL = (*_ALL_OF_SCHEMAS, "schemas", "databases", "clusters")


def parse_role(reader: Reader) -> Statement:
    """Parse what follows CREATE ROLE."""
    reader.identifier()
    _attributes(reader)
    return Accepted("CREATE ROLE")


def parse_alter_role(reader: Reader) -> Statement:
    """Parse what follows ALTER ROLE."""
    reader.identifier()
    if reader.is_word("set") or reader.is_word("reset"):
        raise not_supported("variables of roles", reader.peek().start)
    _attributes(reader)
    return Accepted("ALTER ROLE")


def _attributes(reader: Reader) -> None:
    reader.take("with")
    while reader.peek().kind == WORD:
        if reader.take("password"):
            if not reader.take("null"):
                reader.string()
        elif reader.peek().value.removeprefix("no") in _ATTRIBUTES:
            reader.next()
        else:
            break
    reader.expect_end()


def parse_grant(reader: Reader) -> Statement:
    """Parse what follows GRANT or REVOKE: without authentication every role may do everything."""
    tag = reader.source.tokens[0].value.upper()
    if _privileges(reader):
        reader.expect("on")
        _objects(reader, tag)
    else:
        _listed(reader)
    reader.expect("to" if tag == "GRANT" else "from")
    _listed(reader, "group")
    reader.expect_end()
    return Accepted(tag)


def _listed(reader: Reader, *before_each: str) -> None:
    while True:
        for word in before_each:
            reader.take(word)
        reader.name()
        if not reader.take_symbol(","):
            return


def _privileges(reader: Reader) -> bool:
    if reader.take("all"):
        reader.take("privileges")
        return True
    found = False
    while reader.peek().kind == WORD and reader.peek().value in _PRIVILEGES:
        reader.next()
        found = True
        if not reader.take_symbol(","):
            break
    return found


def _objects(reader: Reader, tag: str) -> None:
    position = reader.peek().start
    if reader.take("system"):
        return
    if reader.take("all"):
        _all_objects(reader)
        return
    for words in _AS_TABLE:
        if reader.take(*words):
            message = f"{tag} ON {' '.join(words).upper()} is not possible"
            raise EmulatorError(SYNTAX_ERROR, message, hint="say TABLE, or only the name", position=position)
    for words in _WITHOUT_PRIVILEGES:
        if reader.take(*words):
            message = f"{tag} ON {' '.join(words).upper()} is not possible"
            raise EmulatorError(SYNTAX_ERROR, message, position=position)
    for words in _GRANTED:
        if reader.take(*words):
            break
    _listed(reader)


def _all_objects(reader: Reader) -> None:
    kind = reader.peek()
    if not reader.take("network", "policies"):
        if kind.kind != WORD or kind.value not in _ALL:
            raise reader.unexpected("TABLES, TYPES, SECRETS, CONNECTIONS, SCHEMAS, DATABASES or CLUSTERS")
        reader.next()
    if not reader.is_word("in"):
        return
    if kind.value not in (*_ALL_OF_SCHEMAS, "schemas"):
        raise reader.unexpected("TO or FROM")
    reader.next()
    if kind.value == "schemas" or not reader.take("schema"):
        reader.expect("database")
    _listed(reader)
