"""CREATE statements."""

from __future__ import annotations

from thedata_cli.components.materialize.emulator.errors import EmulatorError, not_supported
from thedata_cli.components.materialize.emulator.grammar import Reader
from thedata_cli.components.materialize.emulator.options import literal, refuse_unknown, retention_ms
from thedata_cli.components.materialize.emulator.parse_columns import check_columns
from thedata_cli.components.materialize.emulator.parse_roles import parse_role
from thedata_cli.components.materialize.emulator.statements import (
    MATERIALIZED_VIEW,
    Check,
    CheckInput,
    CreateCluster,
    CreateIndex,
    CreateSchema,
    CreateSecret,
    CreateTable,
    CreateView,
    CreateWebhook,
    HeadersColumn,
    MappedHeader,
    Name,
    Statement,
    Text,
)
from thedata_cli.components.materialize.emulator.tokens import WORD, tokenize


def parse_create(reader: Reader) -> Statement:
    """Parse what follows CREATE."""
    or_replace = reader.take("or", "replace")
    if reader.is_word("temp") or reader.is_word("temporary"):
        raise not_supported("temporary objects", reader.peek().start)
    if reader.take("replacement", "materialized", "view"):
        return _view(reader, MATERIALIZED_VIEW, or_replace=False, replacement=True)
    if reader.take("materialized", "view"):
        return _view(reader, MATERIALIZED_VIEW, or_replace)
    if reader.take("view"):
        return _view(reader, "view", or_replace)
    if or_replace:
        raise reader.unexpected("VIEW or MATERIALIZED VIEW after CREATE OR REPLACE")
    for keyword, parse in _PARSERS.items():
        if reader.take(keyword):
            return parse(reader)
    if reader.take("default", "index"):
        return _index(reader, is_default=True)
    raise _unknown(reader)


def _unknown(reader: Reader) -> EmulatorError:
    token = reader.peek()
    known = (
        "connection",
        "sink",
        "database",
        "type",
        "network",
        "function",
        "extension",
        "trigger",
        "subsource",
        "metric",
    )
    if token.kind == WORD and token.value in known:
        return not_supported(f"CREATE {token.value.upper()}", token.start)
    return reader.unexpected(
        "DATABASE, SCHEMA, CLUSTER, SECRET, SOURCE, TABLE, VIEW, MATERIALIZED VIEW or INDEX after CREATE"
    )


def _schema(reader: Reader) -> Statement:
    if_not_exists = reader.if_not_exists()
    name = reader.name()
    reader.expect_end()
    return CreateSchema("CREATE SCHEMA", name, if_not_exists)


def _cluster(reader: Reader) -> Statement:
    if reader.is_word("replica"):
        raise not_supported("CREATE CLUSTER REPLICA; give the cluster a REPLICATION FACTOR", reader.peek().start)
    if_not_exists = reader.if_not_exists()
    name = reader.name()
    if reader.take("replicas"):
        raise not_supported("unmanaged clusters (REPLICAS …); give SIZE and REPLICATION FACTOR", reader.peek().start)
    options = reader.options() if reader.peek().value == "(" else dict(_bare_options(reader))
    if reader.is_word("features"):
        raise not_supported("FEATURES of clusters", reader.peek().start)
    reader.expect_end()
    return CreateCluster("CREATE CLUSTER", name, if_not_exists, {key: literal(value) for key, value in options.items()})


def _bare_options(reader: Reader) -> list[tuple[str, Text]]:
    options = []
    while reader.peek().kind == WORD and not reader.is_word("with"):
        words = [reader.identifier()]
        while reader.peek().kind == WORD:
            words.append(reader.identifier())
        reader.take_symbol("=")
        options.append((" ".join(words), reader.until(",", ")")))
        reader.take_symbol(",")
    return options


def _secret(reader: Reader) -> Statement:
    if_not_exists = reader.if_not_exists()
    name = reader.name()
    reader.expect("as")
    return CreateSecret("CREATE SECRET", name, if_not_exists, reader.rest())


def _source(reader: Reader) -> Statement:
    if_not_exists = reader.if_not_exists()
    name = reader.name()
    if reader.peek().value == "(":
        reader.inside_parentheses()
    cluster = reader.in_cluster()
    reader.expect("from")
    if not reader.is_word("webhook"):
        raise not_supported(f"sources FROM {reader.peek().value.upper()}, only FROM WEBHOOK", reader.peek().start)
    return _webhook(reader, "source", name, if_not_exists, cluster)


def _table(reader: Reader) -> Statement:
    if_not_exists = reader.if_not_exists()
    name = reader.name()
    if reader.take("from"):
        if not reader.is_word("webhook"):
            raise not_supported("tables FROM SOURCE", reader.peek().start)
        return _webhook(reader, "table", name, if_not_exists, None)
    if reader.peek().value != "(":
        raise reader.unexpected("a list of columns in parentheses")
    columns = reader.inside_parentheses()
    if reader.is_word("from", "source"):
        raise not_supported("tables FROM SOURCE", reader.peek().start)
    check_columns(columns)
    retain = _with_retention(reader, "tables")
    reader.expect_end()
    return CreateTable("CREATE TABLE", name, if_not_exists, columns, retain)


def _with_retention(reader: Reader, of: str) -> int | None:
    if not reader.take("with"):
        return None
    options = reader.options()
    retain = retention_ms(options)
    refuse_unknown(options, of)
    return retain


def _webhook(reader: Reader, kind: str, name: Name, if_not_exists: bool, cluster: Name | None) -> Statement:
    reader.expect("webhook", "body", "format")
    body_format = _body_format(reader)
    headers_column, mapped = _included_headers(reader)
    check = _check(reader) if reader.take("check") else None
    reader.expect_end()
    return CreateWebhook(
        f"CREATE {kind.upper()}", name, kind, if_not_exists, cluster, body_format, headers_column, mapped, check
    )


def _body_format(reader: Reader) -> str:
    if reader.take("json", "array"):
        return "json array"
    for word in ("json", "text", "bytes"):
        if reader.take(word):
            return word
    raise reader.unexpected("TEXT, JSON or BYTES")


def _included_headers(reader: Reader) -> tuple[HeadersColumn | None, tuple[MappedHeader, ...]]:
    column, mapped = None, []
    while reader.take("include"):
        if reader.take("headers"):
            column = _headers_filter(reader) if reader.peek().value == "(" else HeadersColumn()
        else:
            reader.expect("header")
            header = reader.string().lower()
            reader.expect("as")
            mapped.append(MappedHeader(header, reader.identifier(), reader.take("bytes")))
    return column, tuple(mapped)


def _headers_filter(reader: Reader) -> HeadersColumn:
    only: list[str] = []
    without: list[str] = []
    reader.expect_symbol("(")
    while True:
        (without if reader.take("not") else only).append(reader.string().lower())
        if not reader.take_symbol(","):
            break
    reader.expect_symbol(")")
    return HeadersColumn(tuple(only), tuple(without))


def _check(reader: Reader) -> Check:
    reader.expect_symbol("(")
    inputs: list[CheckInput] = []
    if reader.take("with"):
        reader.expect_symbol("(")
        inputs.append(_check_input(reader))
        while reader.take_symbol(","):
            inputs.append(_check_input(reader))
        reader.expect_symbol(")")
    condition = reader.until(")")
    if not condition.sql:
        raise reader.unexpected("an expression")
    reader.expect_symbol(")")
    return Check(tuple(inputs), condition)


def _check_input(reader: Reader) -> CheckInput:
    for kind in ("headers", "body", "secret"):
        if reader.take(kind):
            secret = reader.name() if kind == "secret" else None
            alias = reader.identifier() if reader.take("as") else (secret.last if secret else kind)
            return CheckInput(kind, alias, reader.take("bytes"), secret)
    raise reader.unexpected("HEADERS, BODY or SECRET")


def _view(reader: Reader, kind: str, or_replace: bool, replacement: bool = False) -> Statement:
    if_not_exists = not or_replace and reader.if_not_exists()
    name = reader.name()
    replaces = None
    if replacement:
        reader.expect("for")
        replaces = reader.name()
    columns = reader.identifiers() if reader.peek().value == "(" else ()
    cluster = reader.in_cluster() if kind == MATERIALIZED_VIEW else None
    retain, not_null = _view_options(reader) if kind == MATERIALIZED_VIEW and reader.take("with") else (None, ())
    reader.expect("as")
    tag = f"CREATE {kind.replace('-', ' ').upper()}"
    query = reader.rest()
    return CreateView(tag, name, kind, if_not_exists, or_replace, columns, query, cluster, retain, not_null, replaces)


def _view_options(reader: Reader) -> tuple[int | None, tuple[str, ...]]:
    options = reader.options()
    retain = retention_ms(options)
    not_null: list[str] = []
    for name in list(options):
        if name.startswith("assert not null"):
            value = options.pop(name)
            not_null.append(name.removeprefix("assert not null").strip() or tokenize(value.sql)[0].value)
        elif name == "refresh" and options[name].sql.lower() == "on commit":
            options.pop(name)
        elif name.startswith("refresh"):
            raise not_supported("REFRESH other than ON COMMIT", options[name].position)
    refuse_unknown(options, "materialized views")
    return retain, tuple(not_null)


def _index(reader: Reader, is_default: bool = False) -> Statement:
    if_not_exists = reader.if_not_exists()
    name = None
    if not (reader.is_word("on") or reader.is_word("in", "cluster")):
        position = reader.peek().start
        name = Name((reader.identifier(),), position)
    elif if_not_exists and not is_default:
        raise reader.unexpected("a name of the index")
    cluster = reader.in_cluster()
    reader.expect("on")
    on = reader.name()
    if reader.take("using"):
        reader.expect("arrangement")
    keys = None
    if not is_default:
        if reader.peek().value != "(":
            raise reader.unexpected('"("')
        keys = reader.list_of_texts()
    retain = _with_retention(reader, "indexes")
    reader.expect_end()
    return CreateIndex("CREATE INDEX", name, if_not_exists, on, keys, cluster, retain)


_PARSERS = {
    "schema": _schema, "cluster": _cluster, "role": parse_role, "user": parse_role, "secret": _secret,
    "source": _source, "table": _table, "index": _index,
}  # fmt: skip
