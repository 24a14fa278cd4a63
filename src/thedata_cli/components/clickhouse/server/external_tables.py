"""External data: the parts of a multipart body become temporary tables of the request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message

from thedata_cli.components.clickhouse.server.engine import quote_name
from thedata_cli.components.clickhouse.server.errors import BAD_ARGUMENTS, ClickHouseError
from thedata_cli.components.clickhouse.server.request import Request

MAX_BODY_BYTES = 256 << 20
_DEFAULT_NAME = "_data"


@dataclass(frozen=True)
class Part:
    """One part of a multipart body."""

    name: str
    is_file: bool
    data: bytes


@dataclass(frozen=True)
class ExternalTable:
    """Rows that a client sends along with its query."""

    name: str
    structure: str
    format: str
    data: bytes


def is_multipart(request: Request) -> bool:
    """Whether the body is a form with parts. Other forms are SQL: it is what `curl -d` sends."""
    return request.header("content-type").lower().startswith("multipart/form-data")


def parse_multipart(content_type: str, body: bytes) -> list[Part]:
    """Split a body into its parts.

    Raises:
        ClickHouseError: The body is not what its Content-Type says.
    """
    boundary = _header_parameter(content_type, "boundary")
    if not boundary:
        raise ClickHouseError(BAD_ARGUMENTS, "The multipart body has no boundary.")
    delimiter = b"\r\n--" + boundary.encode("latin-1")
    pieces = (b"\r\n" + body).split(delimiter)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise ClickHouseError(BAD_ARGUMENTS, "The multipart body ends in the middle.")
    return [_parse_part(piece) for piece in pieces[1:-1]]


def _parse_part(piece: bytes) -> Part:
    head, separator, data = piece.partition(b"\r\n\r\n")
    found = re.search(rb"(?im)^content-disposition:(.*)$", head.replace(b"\r\n", b"\n"))
    if not separator or not found:
        raise ClickHouseError(BAD_ARGUMENTS, "A part of the multipart body has no Content-Disposition.")
    disposition = found[1].decode("utf-8", "surrogateescape").strip()
    name = _header_parameter(disposition, "name") or _DEFAULT_NAME
    return Part(name, _header_parameter(disposition, "filename") is not None, data)


def _header_parameter(value: str, name: str) -> str | None:
    message = Message()
    message["content-type"] = value
    found = message.get_param(name)
    return found if isinstance(found, str) else None


def take_parts(request: Request, parts: Sequence[Part]) -> list[ExternalTable]:
    """Give the form's plain fields to the request and make tables of the files."""
    fields = [part for part in parts if not part.is_file]
    request.add_parameters((part.name, part.data.decode("utf-8", "surrogateescape")) for part in fields)
    return [_table(request, part) for part in parts if part.is_file]


def _table(request: Request, part: Part) -> ExternalTable:
    table_format = request.parameter(f"{part.name}_format", "TabSeparated")
    return ExternalTable(part.name, _structure(request, part.name), table_format, part.data)


def _structure(request: Request, name: str) -> str:
    structure = request.parameter(f"{name}_structure")
    types = request.parameter(f"{name}_types")
    if structure:
        return structure
    if not types:
        raise ClickHouseError(BAD_ARGUMENTS, f"Neither structure nor types of external table {name} are given.")
    return ", ".join(f"_{number} {one}" for number, one in enumerate(_split_types(types), 1))


def _split_types(types: str) -> list[str]:
    """Split at the commas that are in no bracket: a type may have arguments."""
    out, depth = [""], 0
    for character in types:
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            out.append("")
        else:
            out[-1] += character
    return [one.strip() for one in out]


def creation(table: ExternalTable) -> str:
    """The statement that makes the temporary table."""
    return f"CREATE TEMPORARY TABLE {quote_name(table.name)} ({table.structure}) ENGINE = Memory"
