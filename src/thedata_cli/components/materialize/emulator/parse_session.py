"""SUBSCRIBE and its cursors, COPY, transactions and variables."""

from __future__ import annotations

from thedata_cli.components.materialize.emulator.errors import SYNTAX_ERROR, EmulatorError, not_supported
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
    Statement,
    Subscribe,
    Text,
)
from thedata_cli.components.materialize.emulator.tokens import END as NOTHING
from thedata_cli.components.materialize.emulator.tokens import NUMBER, QUOTED, STRING, WORD
from thedata_cli.components.materialize.emulator.variables import is_variable_of_materialize

_LEVELS = (
    ("read", "uncommitted"), ("read", "committed"), ("repeatable", "read"), ("serializable",),
    ("strong", "session", "serializable"), ("strict", "serializable"),
)  # fmt: skip


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
    _order_of_rows(reader, fields)
    if reader.take("with"):
        options = reader.options()
        for word in ("snapshot", "progress"):
            if word in options:
                fields[word] = boolean(options.pop(word))
        refuse_unknown(options, "SUBSCRIBE")
    if reader.take("as", "of"):
        fields["at_least"] = reader.take("at", "least")
        fields["as_of"] = _some(reader, "as", "up", "envelope", "within", "with", ")")
    if reader.take("up", "to"):
        fields["up_to"] = _some(reader, "as", "up", "envelope", "within", "with", ")")
    if not ("envelope" in fields or "order_within" in fields):
        _order_of_rows(reader, fields)
    if reader.peek().kind != NOTHING and reader.peek().value != ")":
        raise reader.unexpected("end of statement")
    return Subscribe("SUBSCRIBE", name, query, **fields)  # type: ignore[arg-type]


def _some(reader: Reader, *stops: str) -> Text:
    text = reader.until(*stops)
    if not text.sql:
        raise reader.unexpected("an expression")
    return text


def _order_of_rows(reader: Reader, fields: dict[str, object]) -> None:
    position = reader.peek().start
    if reader.take("envelope"):
        fields["envelope"] = reader.identifier()
        if fields["envelope"] not in ("upsert", "debezium"):
            raise EmulatorError(SYNTAX_ERROR, "Expected one of UPSERT or DEBEZIUM", position=position)
        reader.expect_symbol("(")
        reader.expect("key")
        fields["keys"] = reader.identifiers()
        reader.expect_symbol(")")
    elif reader.take("within"):
        reader.expect("timestamp", "order", "by")
        fields["order_within"] = _some(reader, "with", "as", "up", ")")


def parse_declare(reader: Reader) -> Statement | None:
    """Parse what follows DECLARE; other cursors are PostgreSQL's."""
    cursor = reader.identifier()
    reader.expect("cursor")
    if reader.take("without"):
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
    reader.take("from")
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
    if reader.is_word("into"):
        raise not_supported("COPY INTO; leave out INTO", reader.peek().start)
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
    reader.next()
    _copy_options(reader)
    return None


def _copy_options(reader: Reader) -> None:
    if reader.is_word("with") and reader.peek(1).value != "(":
        reader.next()
        raise reader.unexpected('"("')
    while reader.peek().kind != NOTHING:
        if reader.peek().value == "=":
            raise not_supported("equals signs in the options of COPY", reader.peek().start)
        reader.next()


def parse_begin(reader: Reader) -> Begin:
    """Parse what follows BEGIN or START."""
    is_begin = reader.source.starts_with("begin")
    if not is_begin:
        reader.expect("transaction")
    elif not reader.take("transaction"):
        reader.take("work")
    modes = _transaction_modes(reader)
    reader.expect_end()
    return Begin("BEGIN" if is_begin else "START TRANSACTION", "only" in modes)


def _transaction_modes(reader: Reader) -> list[str]:
    modes: list[str] = []
    is_wanted = False
    while True:
        if reader.take("isolation", "level"):
            if not any(reader.take(*level) for level in _LEVELS):
                raise reader.unexpected("an isolation level")
        elif reader.take("read", "only"):
            modes.append("only")
        elif not reader.take("read", "write"):
            if is_wanted:
                raise reader.unexpected("a mode of transactions")
            return modes
        is_wanted = reader.take_symbol(",")


def parse_end(reader: Reader) -> End:
    """Parse what follows COMMIT or ROLLBACK."""
    commits = reader.source.tokens[0].value in ("commit", "end")
    if reader.is_word("to") or reader.is_word("work", "to") or reader.is_word("transaction", "to"):
        raise not_supported("savepoints", reader.peek().start)
    if reader.is_word("prepared"):
        raise not_supported("two-phase commit", reader.peek().start)
    if not reader.take("work"):
        reader.take("transaction")
    if reader.is_word("and", "chain"):
        raise not_supported("AND CHAIN", reader.peek().start)
    reader.take("and", "no", "chain")
    reader.expect_end()
    return End("COMMIT" if commits else "ROLLBACK", commits)


def parse_set(reader: Reader) -> Statement | None:
    """Parse what follows SET or RESET, for variables that PostgreSQL must not see as they are."""
    if reader.source.tokens[0].value == "reset":
        name = reader.peek().value
        return SetVariable("RESET", name) if is_variable_of_materialize(name) else None
    is_local = reader.take("local")
    reader.take("session")
    if reader.take("transaction") or reader.take("characteristics", "as", "transaction"):
        _transaction_modes(reader)
        reader.expect_end()
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
        if name == "schema":
            break
    reader.expect_end()
    if not values:
        raise reader.unexpected("a value")
    return SetVariable("SET", name, tuple(values) if values != ["default"] else (), is_local)
