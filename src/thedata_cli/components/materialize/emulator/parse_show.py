"""SHOW."""

from __future__ import annotations

import dataclasses

from thedata_cli.components.materialize.emulator.errors import SYNTAX_ERROR, EmulatorError, not_supported
from thedata_cli.components.materialize.emulator.grammar import Reader
from thedata_cli.components.materialize.emulator.statements import MATERIALIZED_VIEW, Show, ShowVariable, Statement
from thedata_cli.components.materialize.emulator.variables import is_variable_of_materialize

_CREATABLE = ("source", "table", "view", "index", "secret", "cluster", "connection", "sink")
_LISTS: dict[tuple[str, ...], str] = {
    ("tables",): "tables", ("views",): "views", ("materialized", "views"): "materialized views",
    ("sources",): "sources", ("secrets",): "secrets", ("schemas",): "schemas", ("databases",): "databases",
    ("clusters",): "clusters", ("objects",): "objects", ("indexes",): "indexes", ("connections",): "connections",
    ("sinks",): "sinks", ("roles",): "roles", ("users",): "roles",
}  # fmt: skip
_REFUSED = (
    ("cluster", "replicas"), ("network", "policies"), ("types",), ("subsources",), ("privileges",),
    ("default", "privileges"), ("role", "membership"),
)  # fmt: skip
_NOT_IN_SCHEMAS = ("databases", "clusters", "roles")
_IN_CLUSTERS = ("sources", "sinks", "materialized views", "indexes")


def parse_show(reader: Reader) -> Statement | None:
    """Parse what follows SHOW; variables that are PostgreSQL's are its to show."""
    redacted = reader.take("redacted")
    if reader.take("create"):
        return _create(reader, redacted)
    if redacted:
        raise reader.unexpected("CREATE")
    if reader.take("columns") or reader.take("fields"):
        if not reader.take("in"):
            reader.expect("from")
        return _filtered(reader, Show("SHOW", "columns", name=reader.name()))
    for refused in _REFUSED:
        if reader.is_word(*refused):
            raise not_supported(f"SHOW {' '.join(refused).upper()}", reader.peek().start)
    for words, what in _LISTS.items():
        if reader.take(*words):
            return _list(reader, Show("SHOW", what))
    word = reader.peek().value
    if is_variable_of_materialize(word):
        reader.next()
        reader.expect_end()
        return ShowVariable("SHOW", word)
    return None


def _create(reader: Reader, redacted: bool) -> Show:
    position = reader.peek().start
    kind = MATERIALIZED_VIEW if reader.take("materialized", "view") else reader.identifier()
    if kind in ("type", "schema"):
        raise not_supported(f"SHOW CREATE {kind.upper()}", position)
    if kind not in (MATERIALIZED_VIEW, *_CREATABLE):
        raise EmulatorError(SYNTAX_ERROR, f"SHOW CREATE cannot show a {kind}", position=position)
    name = reader.name()
    reader.expect_end()
    return Show("SHOW", f"create {kind}", name=name, redacted=redacted)


def _list(reader: Reader, show: Show) -> Show:
    if show.what not in _NOT_IN_SCHEMAS and reader.take("from"):
        source = reader.name()
        if show.what == "schemas" and len(source.parts) > 1:
            raise EmulatorError(SYNTAX_ERROR, "a database has a name of one part", position=source.position)
        show = dataclasses.replace(show, source=source)
    if show.what == "tables" and reader.is_word("on"):
        raise not_supported("SHOW TABLES ON a source", reader.peek().start)
    if show.what == "indexes" and show.source is None and reader.take("on"):
        show = dataclasses.replace(show, name=reader.name())
    if show.what in _IN_CLUSTERS:
        show = dataclasses.replace(show, cluster=reader.in_cluster())
    return _filtered(reader, show)


def _filtered(reader: Reader, show: Show) -> Show:
    if reader.take("like"):
        show = dataclasses.replace(show, like=reader.string())
    elif reader.take("where"):
        show = dataclasses.replace(show, where=reader.rest())
    reader.expect_end()
    return show
