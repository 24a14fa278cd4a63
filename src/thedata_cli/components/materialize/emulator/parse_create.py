"""CREATE statements."""

from __future__ import annotations

from thedata_cli.components.materialize.emulator.errors import NOT_SUPPORTED, SYNTAX_ERROR, EmulatorError, not_supported
from thedata_cli.components.materialize.emulator.grammar import Reader
from thedata_cli.components.materialize.emulator.options import literal, refuse_unknown, retention_ms
from thedata_cli.components.materialize.emulator.statements import (
    MATERIALIZED_VIEW,
    Accepted,
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
from thedata_cli.components.materialize.emulator.tokens import QUOTED, WORD, tokenize


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
    known = ("connection", "sink", "database", "type", "network", "function", "extension", "trigger", "subsource")
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
    if_not_exists = reader.if_not_exists()
    name = reader.name()
    if reader.take("replicas"):
        raise not_supported("unmanaged clusters (REPLICAS …); give SIZE and REPLICATION FACTOR", reader.peek().start)
    options = reader.options() if reader.peek().value == "(" else dict(_bare_options(reader))
    reader.expect_end()
    return CreateCluster("CREATE CLUSTER", name, if_not_exists, {key: literal(value) for key, value in options.items()})


def _bare_options(reader: Reader) -> list[tuple[str, Text]]:
    options = []
    while reader.peek().kind == WORD:
        words = [reader.identifier()]
        while reader.peek().kind == WORD:
            words.append(reader.identifier())
        reader.take_symbol("=")
        options.append((" ".join(words), reader.until(",")))
        reader.take_symbol(",")
    return options


def _role(reader: Reader) -> Statement:
    reader.rest()
    return Accepted("CREATE ROLE")


def _secret(reader: Reader) -> Statement:
    if_not_exists = reader.if_not_exists()
    name = reader.name()
    reader.expect("as")
    return CreateSecret("CREATE SECRET", name, if_not_exists, reader.rest())


def _source(reader: Reader) -> Statement:
    if_not_exists = reader.if_not_exists()
    name = reader.name()
    cluster = reader.in_cluster()
    if reader.peek().value == "(":
        reader.inside_parentheses()
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
    _check_columns(columns)
    retain = _with_retention(reader, "tables")
    reader.expect_end()
    return CreateTable("CREATE TABLE", name, if_not_exists, columns, retain)


def _check_columns(columns: Text) -> None:
    depth = 0
    tokens = tokenize(columns.sql)
    for at, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.value, 0)
        if token.kind != WORD or depth:
            continue
        position = columns.position + token.start
        after = tokens[at + 1].value if at + 1 < len(tokens) else ""
        # A column may be named `unique`; then a type follows, and no comma, parenthesis or further constraint.
        if (token.value == "primary" and after == "key") or (
            token.value == "unique" and after in ("", ",", "(", "not")
        ):
            message = "CREATE TABLE with a primary key or unique constraint is not supported"
            raise EmulatorError(NOT_SUPPORTED, message, position=position)
        if (token.value == "check" and after == "(") or token.value in ("references", "foreign"):
            raise EmulatorError(NOT_SUPPORTED, "CREATE TABLE with a constraint is not supported", position=position)
        if token.value in ("generated", "collate", "storage", "compression", "like"):
            raise EmulatorError(SYNTAX_ERROR, f"Expected column option, found {token}", position=position)
        if (
            token.value in ("serial", "bigserial", "smallserial", "money", "xml", "json")
            and at
            and tokens[at - 1].kind in (WORD, QUOTED)
        ):
            raise EmulatorError("42704", f'type "{token.value}" does not exist', position=position)


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
    retain = _with_retention(reader, "webhook sources")
    reader.expect_end()
    return CreateWebhook(
        f"CREATE {kind.upper()}", name, kind, if_not_exists, cluster, body_format, headers_column, mapped, check, retain
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
        reader.take_symbol(",")
    return column, tuple(mapped)


def _headers_filter(reader: Reader) -> HeadersColumn:
    only: list[str] = []
    without: list[str] = []
    reader.expect_symbol("(")
    while not reader.take_symbol(")"):
        (without if reader.take("not") else only).append(reader.string().lower())
        if not reader.take_symbol(","):
            reader.expect_symbol(")")
            break
    return HeadersColumn(tuple(only), tuple(without))


def _check(reader: Reader) -> Check:
    reader.expect_symbol("(")
    inputs: list[CheckInput] = []
    if reader.take("with"):
        reader.expect_symbol("(")
        while not reader.take_symbol(")"):
            inputs.append(_check_input(reader))
            if not reader.take_symbol(","):
                reader.expect_symbol(")")
                break
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
    if_not_exists = reader.if_not_exists()
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
    name = None if reader.is_word("on") or reader.is_word("in", "cluster") else reader.name()
    cluster = reader.in_cluster()
    reader.expect("on")
    on = reader.name()
    if reader.take("using") and reader.identifier() != "arrangement":
        raise not_supported("index methods")
    keys = None
    if not is_default:
        if reader.peek().value != "(":
            raise reader.unexpected('"("')
        keys = reader.list_of_texts()
    retain = _with_retention(reader, "indexes")
    reader.expect_end()
    return CreateIndex("CREATE INDEX", name, if_not_exists, on, keys, cluster, retain)


_PARSERS = {
    "schema": _schema, "cluster": _cluster, "role": _role, "user": _role, "secret": _secret, "source": _source,
    "table": _table, "index": _index,
}  # fmt: skip
