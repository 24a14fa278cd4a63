"""What a transaction of Materialize may do: read, or insert, or one definition, or one subscription."""

from __future__ import annotations

from thedata_cli.components.materialize.emulator.errors import (
    ACTIVE_TRANSACTION,
    INVALID_TRANSACTION_STATE,
    NOT_SUPPORTED,
    READ_ONLY_TRANSACTION,
    EmulatorError,
)
from thedata_cli.components.materialize.emulator.statements import Statement
from thedata_cli.components.materialize.emulator.tokens import Source

_READS = frozenset(("select", "with", "values", "table", "declare", "subscribe"))
_WRITING = frozenset(("insert", "update", "delete"))


def kind_of(source: Source) -> str:
    """Return what a statement does to data: read, insert, change, any of them, or nothing."""
    first = source.tokens[0].value
    if first in ("execute", "explain") or (first == "with" and source.words() & _WRITING):
        return "any"
    if first in _READS or first == "(":
        return "read"
    if first == "insert":
        return "insert"
    if first in ("update", "delete"):
        return "change"
    if first == "copy":
        return "insert" if any(token.value == "from" for token in source.tokens) and not _copies_out(source) else "read"
    return ""


def _copies_out(source: Source) -> bool:
    return any(token.value == "stdout" for token in source.tokens)


class TransactionMode:
    """What the explicit transaction of a session has done so far."""

    def __init__(self) -> None:
        self.mode = ""
        self.definition: Statement | None = None
        self._has_read = False

    def begin(self) -> None:
        """A transaction begins."""
        self.mode = ""
        self.definition = None
        self._has_read = False

    def begins_to_read(self) -> bool:
        """Whether this is the first query, as of which all others are: the backend takes its snapshot with it."""
        is_first, self._has_read = not self._has_read, True
        return is_first

    def check(self, source: Source) -> None:
        """Note what a statement does.

        Raises:
            EmulatorError: It does not go with what was done before.
        """
        kind = kind_of(source)
        if kind == "change":
            verb = source.tokens[0].value.upper()
            raise EmulatorError(
                ACTIVE_TRANSACTION, f"{verb} cannot be run inside a transaction block", position=source.start
            )
        if kind in ("", "any"):
            return
        if self.mode == "definition":
            raise EmulatorError(INVALID_TRANSACTION_STATE, "this transaction can only execute a single statement")
        if self.mode == "subscribe":
            raise EmulatorError(INVALID_TRANSACTION_STATE, "SUBSCRIBE in transactions must be the only read statement")
        if kind == "read" and self.mode == "insert":
            raise EmulatorError(INVALID_TRANSACTION_STATE, "transaction in write-only mode")
        if kind == "insert" and self.mode == "read":
            raise EmulatorError(READ_ONLY_TRANSACTION, "transaction in read-only mode")
        self.mode = kind

    def subscribe(self) -> None:
        """Note a subscription.

        Raises:
            EmulatorError: Something else was done before.
        """
        if self.mode not in ("", "subscribe"):
            raise EmulatorError(INVALID_TRANSACTION_STATE, "SUBSCRIBE in transactions must be the only read statement")
        if self.mode == "subscribe":
            raise EmulatorError(NOT_SUPPORTED, "SUBSCRIBE in transactions must be the only read statement")
        self.mode = "subscribe"

    def define(self, statement: Statement) -> None:
        """Keep a definition for COMMIT.

        Raises:
            EmulatorError: It is not the only statement.
        """
        if self.mode:
            raise EmulatorError(INVALID_TRANSACTION_STATE, "this transaction can only execute a single statement")
        self.mode = "definition"
        self.definition = statement
