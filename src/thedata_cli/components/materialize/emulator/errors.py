"""Errors as a client of the PostgreSQL protocol sees them: SQLSTATE, message, detail, hint, position."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

SYNTAX_ERROR = "42601"
NOT_SUPPORTED = "0A000"
UNDEFINED_OBJECT = "42704"
UNDEFINED_TABLE = "42P01"
UNDEFINED_COLUMN = "42703"
DUPLICATE_OBJECT = "42710"
WRONG_OBJECT_TYPE = "42809"
DEPENDENT_OBJECTS = "2BP01"
INVALID_PARAMETER = "22023"
INVALID_CURSOR = "34000"
ACTIVE_TRANSACTION = "25001"
NO_TRANSACTION = "25P01"
READ_ONLY_TRANSACTION = "25006"
INVALID_TRANSACTION_STATE = "25000"
QUERY_CANCELED = "57014"
ADMIN_SHUTDOWN = "57P01"
CANNOT_CONNECT = "57P03"
PROTOCOL_VIOLATION = "08P01"
LOCK_NOT_AVAILABLE = "55P03"
INTERNAL_ERROR = "XX000"


@dataclass
class EmulatorError(Exception):
    """One refused statement.

    Attributes:
        sqlstate: Five characters, as Materialize or PostgreSQL would send.
        message: What is wrong.
        detail: What else is known, such as the offending row.
        hint: What would work.
        position: Index of the offending character in the statement's source, from 0.
    """

    sqlstate: str
    message: str
    detail: str | None = None
    hint: str | None = None
    position: int | None = None

    def __str__(self) -> str:
        return self.message


def not_supported(what: str, position: int | None = None) -> EmulatorError:
    """Return the error for something that Materialize can do and the emulator cannot."""
    return EmulatorError(NOT_SUPPORTED, f"the Materialize emulator does not support {what}", position=position)


def from_postgres(error: psycopg.Error, offset: int | None = None, prefix: int = 0) -> EmulatorError:
    """Translate an error of the backend.

    Args:
        error: What psycopg raised.
        offset: Where the text that failed begins in the client's statement; None when it is not the client's text.
        prefix: Number of characters that were put in front of that text.
    """
    diag = error.diag
    position = None
    if offset is not None and diag.statement_position is not None:
        inside = int(diag.statement_position) - 1 - prefix
        position = offset + inside if inside >= 0 else None
    return EmulatorError(
        error.sqlstate or INTERNAL_ERROR,
        diag.message_primary or str(error),
        detail=diag.message_detail,
        hint=diag.message_hint,
        position=position,
    )


def describe(error: BaseException) -> str:
    """Return an unexpected error as one line for the log: what and where, without the values of clients."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    return f"{type(error).__name__} at {place}: {str(error).splitlines()[0] if str(error) else ''}"
