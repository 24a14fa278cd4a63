"""SHOW, SUBSCRIBE and its cursors, transactions, variables, and queries with clauses of Materialize."""

from __future__ import annotations

from thedata_cli.components.materialize.emulator.errors import NOT_SUPPORTED, SYNTAX_ERROR, EmulatorError, not_supported
from thedata_cli.components.materialize.emulator.grammar import Reader, duration_ms
from thedata_cli.components.materialize.emulator.options import boolean, literal, refuse_unknown
from thedata_cli.components.materialize.emulator.statements import (
    Begin,
    CloseCursor,
    CopySubscribe,
    Declare,
    End,
    Fetch,
    SetVariable,
    Show,
    ShowVariable,
    Statement,
    Subscribe,
)
from thedata_cli.components.materialize.emulator.tokens import END as NOTHING
from thedata_cli.components.materialize.emulator.tokens import NUMBER, QUOTED, STRING, WORD
from thedata_cli.components.materialize.emulator.variables import is_variable_of_materialize

_LISTS = {
    "tables": "tables", "views": "views", "sources": "sources", "secrets": "secrets", "schemas": "schemas",
    "databases": "databases", "clusters": "clusters", "objects": "objects", "indexes": "indexes", "index": "indexes",
    "keys": "indexes", "connections": "connections", "sinks": "sinks", "roles": "roles",
}  # fmt: skip
_CREATABLE = ("source", "table", "view", "index", "secret", "cluster", "connection", "sink")


def parse_show(reader: Reader) -> Statement | None:
    """Parse what follows SHOW."""
    redacted = reader.take("redacted")
    if reader.take("create"):
        kind = "materialized-view" if reader.take("materialized", "view") else None
        if kind is None:
            kind = reader.identifier()
            if kind not in _CREATABLE:
                raise EmulatorError(SYNTAX_ERROR, f"SHOW CREATE cannot show a {kind}", position=reader.peek(-1).start)
        name = reader.name()
        reader.expect_end()
        return Show("SHOW", f"create {kind}", name=name, redacted=redacted)
    if reader.take("columns"):
        reader.expect("from")
        return _filtered(reader, Show("SHOW", "columns", name=reader.name()))
    if reader.take("materialized", "views"):
        return _filtered(reader, Show("SHOW", "materialized views"))
    if reader.is_word("cluster", "replicas"):
        raise not_supported("SHOW CLUSTER REPLICAS; read mz_catalog.mz_cluster_replicas", reader.peek().start)
    word = reader.peek().value
    if word in _LISTS and reader.peek(1).value != "=":
        reader.next()
        return _filtered(reader, Show("SHOW", _LISTS[word]))
    if is_variable_of_materialize(word):
        reader.next()
        reader.expect_end()
        return ShowVariable("SHOW", word)
    return None


def _filtered(reader: Reader, show: Show) -> Show:
    fields = dict(vars(show))
    while reader.peek().kind != NOTHING:
        if reader.take("on"):
            fields["name"] = reader.name()
        elif reader.take("from") or (show.what != "columns" and reader.take("in", "schema")):
            fields["source"] = reader.name()
        elif reader.take("in", "cluster"):
            fields["cluster"] = reader.name()
        elif reader.take("like"):
            fields["like"] = reader.string()
        elif reader.take("where"):
            fields["where"] = reader.rest()
        else:
            raise reader.unexpected("FROM, ON, IN CLUSTER, LIKE or WHERE")
    return Show(**fields)


def parse_subscribe(reader: Reader) -> Subscribe:
    """Parse what follows SUBSCRIBE."""
    reader.take("to")
    name, query = None, None
    if reader.peek().value == "(":
        query = reader.inside_parentheses()
    elif reader.is_word("select") or reader.is_word("values") or reader.is_word("with"):
        raise reader.unexpected("a name, or a query in parentheses")
    else:
        name = reader.name()
    fields: dict[str, object] = {}
    while reader.peek().kind != NOTHING and reader.peek().value != ")":
        _subscribe_clause(reader, fields)
    return Subscribe("SUBSCRIBE", name, query, **fields)  # type: ignore[arg-type]


def _subscribe_clause(reader: Reader, fields: dict[str, object]) -> None:
    if reader.is_word("envelope") or reader.is_word("within"):
        _order_of_rows(reader, fields)
    elif reader.take("with"):
        options = reader.options()
        for word in ("snapshot", "progress"):
            if word in options:
                fields[word] = boolean(options.pop(word))
        refuse_unknown(options, "SUBSCRIBE")
    elif reader.take("as", "of"):
        fields["at_least"] = reader.take("at", "least")
        fields["as_of"] = reader.until("up", "envelope", "within", "with", ")")
    elif reader.take("up", "to"):
        fields["up_to"] = reader.until("envelope", "within", "with", "as", ")")
    else:
        raise reader.unexpected("end of statement")


def _order_of_rows(reader: Reader, fields: dict[str, object]) -> None:
    position = reader.peek().start
    if "envelope" in fields or "order_within" in fields:
        message = "only one of ENVELOPE and WITHIN TIMESTAMP ORDER BY is possible"
        raise EmulatorError(SYNTAX_ERROR, message, position=position)
    if reader.take("envelope"):
        fields["envelope"] = reader.identifier()
        if fields["envelope"] not in ("upsert", "debezium"):
            raise EmulatorError(SYNTAX_ERROR, "Expected one of UPSERT or DEBEZIUM", position=position)
        reader.expect_symbol("(")
        reader.expect("key")
        fields["keys"] = reader.identifiers()
        reader.expect_symbol(")")
    else:
        reader.expect("within", "timestamp", "order", "by")
        fields["order_within"] = reader.until("with", "as", "up", "envelope", ")")


def parse_declare(reader: Reader) -> Statement | None:
    """Parse what follows DECLARE; other cursors are PostgreSQL's."""
    cursor = reader.identifier()
    while not reader.take("cursor"):
        if reader.peek().kind != WORD:
            raise reader.unexpected("CURSOR")
        reader.next()
    if reader.take("with") or reader.take("without"):
        reader.expect("hold")
    reader.expect("for")
    if not reader.take("subscribe"):
        return None
    subscribe = parse_subscribe(reader)
    reader.expect_end()
    return Declare("DECLARE CURSOR", cursor, subscribe)


def parse_fetch(reader: Reader) -> Fetch:
    """Parse what follows FETCH."""
    reader.take("forward")
    count: int | None = 1
    if reader.take("all"):
        count = None
    elif reader.peek().kind == NUMBER:
        count = int(reader.next().value)
    elif reader.peek().value in ("backward", "prior", "first", "last", "absolute", "relative"):
        raise not_supported("cursors that move other than forward", reader.peek().start)
    if not reader.take("from"):
        reader.take("in")
    cursor = reader.identifier()
    timeout_s = None
    if reader.take("with"):
        options = reader.options()
        if "timeout" in options:
            text = options.pop("timeout")
            timeout_s = duration_ms(literal(text), text.position) / 1000
        refuse_unknown(options, "FETCH")
    reader.expect_end()
    return Fetch("FETCH", cursor, count, timeout_s)


def parse_close(reader: Reader) -> CloseCursor:
    """Parse what follows CLOSE."""
    cursor = None if reader.take("all") else reader.identifier()
    reader.expect_end()
    return CloseCursor("CLOSE CURSOR", cursor)


def parse_copy(reader: Reader) -> Statement | None:
    """Parse what follows COPY: to and from the client only."""
    statement: Statement | None = None
    if reader.peek().value == "(" and reader.peek(1).value == "subscribe":
        reader.next()
        reader.next()
        subscribe = parse_subscribe(reader)
        reader.expect_symbol(")")
        reader.expect("to")
        if not reader.is_word("stdout"):
            raise not_supported("COPY to places other than STDOUT", reader.peek().start)
        reader.next()
        options = reader.rest() if reader.peek().kind != NOTHING else None
        return CopySubscribe("COPY", subscribe, options)
    while not (reader.take("to") or reader.take("from")):
        if reader.peek().kind == NOTHING:
            raise reader.unexpected("TO or FROM")
        if reader.peek().value == "(":
            reader.inside_parentheses()
        else:
            reader.next()
    if not (reader.is_word("stdin") or reader.is_word("stdout")):
        raise not_supported("COPY with places other than STDIN and STDOUT", reader.peek().start)
    return statement


def parse_begin(reader: Reader) -> Begin:
    """Parse what follows BEGIN or START."""
    words = {token.value for token in reader.source.tokens}
    return Begin("BEGIN" if reader.source.starts_with("begin") else "START TRANSACTION", "only" in words)


def parse_end(reader: Reader) -> End:
    """Parse what follows COMMIT or ROLLBACK."""
    commits = reader.source.tokens[0].value in ("commit", "end")
    if reader.is_word("to") or reader.is_word("work", "to") or reader.is_word("transaction", "to"):
        raise not_supported("savepoints", reader.peek().start)
    if reader.is_word("prepared"):
        raise not_supported("two-phase commit", reader.peek().start)
    return End("COMMIT" if commits else "ROLLBACK", commits)


def parse_set(reader: Reader) -> Statement | None:
    """Parse what follows SET or RESET, for variables that PostgreSQL must not see as they are."""
    if reader.source.tokens[0].value == "reset":
        name = reader.peek().value
        return SetVariable("RESET", name) if is_variable_of_materialize(name) else None
    is_local = reader.take("local")
    reader.take("session")
    if reader.is_word("transaction") or reader.is_word("characteristics"):
        return SetVariable("SET", "transaction_isolation", ("strict serializable",))
    name = reader.identifier()
    if not is_variable_of_materialize(name):
        return None
    if not reader.take_symbol("="):
        reader.take("to")
    values = []
    while reader.peek().kind in (WORD, QUOTED, STRING, NUMBER):
        words = [reader.next().value]
        while reader.peek().kind == WORD:
            words.append(reader.next().value)
        values.append(" ".join(words))
        if not reader.take_symbol(","):
            break
    reader.expect_end()
    if not values:
        raise reader.unexpected("a value")
    return SetVariable("SET", name, tuple(values) if values != ["default"] else (), is_local)


def parse_plain(reader: Reader) -> Statement | None:
    """Find `AS OF` at the end of a query; without it the query is PostgreSQL's."""
    tokens = reader.source.tokens
    depth = 0
    for at, token in enumerate(tokens[:-1]):
        depth += {"(": 1, ")": -1}.get(token.value, 0)
        if (
            depth == 0
            and token.value == "as"
            and token.kind == WORD
            and tokens[at + 1].value == "of"
            and at + 2 < len(tokens)
        ):
            raise EmulatorError(
                NOT_SUPPORTED, "the Materialize emulator does not support AS OF in queries", position=token.start
            )
    return None
