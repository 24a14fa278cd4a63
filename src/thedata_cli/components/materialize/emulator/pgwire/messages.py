"""The messages of the protocol that the emulator writes itself."""

from __future__ import annotations

import struct

from thedata_cli.components.materialize.emulator.errors import EmulatorError

PARSE_COMPLETE = b"1\x00\x00\x00\x04"
BIND_COMPLETE = b"2\x00\x00\x00\x04"
CLOSE_COMPLETE = b"3\x00\x00\x00\x04"
NO_DATA = b"n\x00\x00\x00\x04"
NO_PARAMETERS = b"t\x00\x00\x00\x06\x00\x00"
EMPTY_QUERY = b"I\x00\x00\x00\x04"
AUTHENTICATED = b"R\x00\x00\x00\x08\x00\x00\x00\x00"
COPY_DONE = b"c\x00\x00\x00\x04"
FLUSH = b"H\x00\x00\x00\x04"
SYNC = b"S\x00\x00\x00\x04"

IDLE, IN_TRANSACTION, FAILED = b"I", b"T", b"E"


def message(kind: bytes, *parts: bytes) -> bytes:
    """Return one message."""
    body = b"".join(parts)
    return kind + struct.pack("!I", len(body) + 4) + body


def text(value: str) -> bytes:
    """Return a string as the protocol has it."""
    return value.encode("utf-8", "replace").replace(b"\0", b"") + b"\0"


def ready(status: bytes) -> bytes:
    """ReadyForQuery."""
    return message(b"Z", status)


def complete(tag: str) -> bytes:
    """CommandComplete."""
    return message(b"C", text(tag))


def query(sql: str) -> bytes:
    """Query."""
    return message(b"Q", text(sql))


def parse(name: str, sql: str, types: bytes = b"\x00\x00") -> bytes:
    """Parse."""
    return message(b"P", text(name), text(sql), types)


def parameter_status(name: str, value: str) -> bytes:
    """ParameterStatus."""
    return message(b"S", text(name), text(value))


def row_description(names: list[str], oid: int = 25) -> bytes:
    """RowDescription of columns of one type, in text."""
    fields = b"".join(text(name) + struct.pack("!IhIhih", 0, 0, oid, -1, -1, 0) for name in names)
    return message(b"T", struct.pack("!h", len(names)), fields)


def copy_out(columns: int) -> bytes:
    """CopyOutResponse, in text."""
    return message(b"H", struct.pack("!bh", 0, columns), b"\x00\x00" * columns)


def error(fault: EmulatorError, severity: str = "ERROR") -> bytes:
    """ErrorResponse."""
    fields = [("S", severity), ("V", severity), ("C", fault.sqlstate), ("M", fault.message)]
    fields += [("D", fault.detail)] if fault.detail else []
    fields += [("H", fault.hint)] if fault.hint else []
    fields += [("P", str(fault.position + 1))] if fault.position is not None else []
    return message(b"E", *(name.encode() + text(value) for name, value in fields), b"\0")


def notice(what: str) -> bytes:
    """NoticeResponse."""
    fields = (("S", "NOTICE"), ("V", "NOTICE"), ("C", "00000"), ("M", what))
    return message(b"N", *(name.encode() + text(value) for name, value in fields), b"\0")


def fields_of(payload: bytes) -> dict[str, str]:
    """Return the fields of an ErrorResponse."""
    parts = payload.split(b"\0")
    return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in parts if part}
