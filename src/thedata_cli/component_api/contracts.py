"""Contracts: the schema of the messages of one subject, and the one source of typed columns.

A contract is written as JSON Schema (see `project/contracts.py` for how it is read). Here is its typed form, and the
decoder that checks a message against it.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

if TYPE_CHECKING:
    import msgspec

SEQUENCE_COLUMN = "_sequence"
"""Column of every table that a pipeline feeds: stream sequence of the message that made the row. By it the worker
recognises, after a crash, what is already there."""


class FieldType(StrEnum):
    """The types a message field can have; engines map each to a column type of theirs."""

    STRING = "string"
    BOOLEAN = "boolean"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    DATE = "date"
    TIMESTAMP = "timestamp"
    """RFC 3339 text with a UTC offset in the message; microseconds since the epoch in tables."""
    UUID = "uuid"
    JSON = "json"
    """An object or array, kept as JSON text in tables."""


@dataclass(frozen=True)
class ContractField:
    """One field of a message.

    Attributes:
        name: Key in the JSON object.
        is_required: Whether the key must be there.
        is_nullable: Whether null, or a missing optional key, is allowed; the column is then nullable.
        is_symbol: Few distinct values, often filtered by: SYMBOL in QuestDB, LowCardinality in ClickHouse.
        constraints: Limits for `msgspec.Meta`: ge, gt, le, lt, multiple_of, pattern, min_length, max_length.
        enum: The allowed values; empty means any.
        document: Of a JSON field, which of the two it must be; None means either.
    """

    name: str
    type: FieldType
    is_required: bool = True
    is_nullable: bool = False
    is_symbol: bool = False
    constraints: Mapping[str, Any] | None = None
    enum: Sequence[Any] = ()
    description: str = ""
    document: Literal["object", "array"] | None = None


@dataclass(frozen=True)
class Contract:
    """The schema of the messages of one subject.

    Attributes:
        name: The file's name without its ending; tables and pipelines refer to it.
        subject: Subject of the messages; may have wildcards.
        fields: In the order in which they are written.
        event_time: Name of the field that says when the event happened; empty when none does.
        key: Names of the fields that identify an event; empty when nothing does.
        allows_unknown_fields: Whether a message may have fields the contract does not name; they are dropped.
    """

    name: str
    subject: str
    fields: tuple[ContractField, ...]
    event_time: str = ""
    key: tuple[str, ...] = ()
    allows_unknown_fields: bool = False

    def field(self, name: str) -> ContractField | None:
        """Return the field of that name, or None."""
        return next((field for field in self.fields if field.name == name), None)

    @cached_property
    def decoder(self) -> MessageDecoder:
        """The compiled check of this contract; built once."""
        return MessageDecoder(self)


class MessageDecoder:
    """Decodes JSON messages into rows and checks them against the contract in the same pass."""

    def __init__(self, contract: Contract) -> None:
        import msgspec

        self._contract = contract
        self.row_type: type[msgspec.Struct] = _row_type(contract)
        self._decoder = msgspec.json.Decoder(self.row_type)
        self._key = [f"f{self.columns.index(name)}" for name in contract.key]
        typed = [(f"f{index}", field) for index, field in enumerate(contract.fields)]
        self._timestamps = [(name, field) for name, field in typed if field.type is FieldType.TIMESTAMP]
        self._documents = [(name, field) for name, field in typed if field.type is FieldType.JSON]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the values of a row, in the order of `msgspec.structs.astuple`; the sequence column is last."""
        return (*(field.name for field in self._contract.fields), SEQUENCE_COLUMN)

    def decode(self, payload: bytes) -> Any:
        """Return the row of one message: a `msgspec.Struct` with one attribute per column.

        Values of `datetime` (aware), `date` and `uuid.UUID` are decoded; JSON fields stay `msgspec.Raw`.

        Raises:
            ValueError: The message is not JSON or breaks the contract; the text says where and how.
        """
        try:
            row: Any = self._decoder.decode(payload)
        except RecursionError:
            raise ValueError("JSON is nested too deep") from None
        if row.sequence:
            raise ValueError(f"Object contains unknown field `{SEQUENCE_COLUMN}`")
        for name, field in self._timestamps:
            value = getattr(row, name)
            if value is not None and not 1 < value.year < 9999:
                _check_year(value, field)
        for name, field in self._documents:
            value = getattr(row, name)
            if value is not None:
                setattr(row, name, _checked_document(value, field))
        return row

    def message_id(self, row: Any) -> str:
        """Return the identity of the event, for `Nats-Msg-Id`; empty when the contract has no key.

        It begins with the contract's name, because one stream may carry the messages of several contracts.
        """
        if not self._key:
            return ""
        return "|".join([self._contract.name, *[_id_part(getattr(row, name)) for name in self._key]])


def _check_year(value: datetime.datetime, field: ContractField) -> None:
    """Refuse the few instants that exist with their offset and not in UTC."""
    try:
        value.astimezone(datetime.UTC)
    except OverflowError:
        raise ValueError(f"Instant outside the years 1 to 9999 in UTC - at `$.{field.name}`") from None


_OPENINGS = {"object": (b"{",), "array": (b"[",), None: (b"{", b"[")}
_DOCUMENTS = {"object": "`object`", "array": "`array`", None: "`object` or `array`"}


def _checked_document(value: msgspec.Raw, field: ContractField) -> msgspec.Raw | None:
    """Check what the decoder passed over unread: an object or an array, valid UTF-8; null becomes None."""
    text = bytes(value)
    if text == b"null" and (field.is_nullable or not field.is_required):
        return None
    if text[:1] not in _OPENINGS[field.document]:
        raise ValueError(f"Expected {_DOCUMENTS[field.document]} - at `$.{field.name}`")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{error} - at `$.{field.name}`") from error
    return value


def _id_part(value: object) -> str:
    """Write a key value so that the same event has the same text, whatever offset its time was written with.

    Text is quoted: it must neither look like two values nor break the header it is sent in.
    """
    if isinstance(value, datetime.datetime):
        return (value if value.tzinfo is datetime.UTC else value.astimezone(datetime.UTC)).isoformat()
    text = str(value)
    return text if text.isalnum() and text.isascii() else quote(text, safe="")


def _row_type(contract: Contract) -> type[msgspec.Struct]:
    """Build the struct of a contract; attributes are `f0, f1, …` because a JSON key need not be a Python name."""
    import msgspec

    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    rename = {}
    for index, field in enumerate(contract.fields):
        attribute = f"f{index}"
        rename[attribute] = field.name
        annotation = _annotation(field)
        if field.is_required:
            fields.append((attribute, annotation))
        else:
            fields.append((attribute, annotation, None))
    rename["sequence"] = SEQUENCE_COLUMN
    fields.append(("sequence", int, 0))
    return msgspec.defstruct(
        "Row",
        fields,
        rename=rename,
        kw_only=True,
        forbid_unknown_fields=not contract.allows_unknown_fields,
        gc=False,
    )


_RANGES: dict[FieldType, tuple[float, float]] = {
    FieldType.INT8: (-(2**7), 2**7 - 1),
    FieldType.INT16: (-(2**15), 2**15 - 1),
    FieldType.INT32: (-(2**31), 2**31 - 1),
    FieldType.INT64: (-(2**63), 2**63 - 1),
    FieldType.FLOAT32: (-3.4028234663852886e38, 3.4028234663852886e38),
}


def _narrow(constraints: dict[str, Any], low: float, high: float) -> None:
    """Add the range of a type; msgspec takes one lower and one upper limit, exclusive or not."""
    if "gt" not in constraints or constraints["gt"] < low:
        constraints.pop("gt", None)
        constraints["ge"] = max(constraints.get("ge", low), low)
    if "lt" not in constraints or constraints["lt"] > high:
        constraints.pop("lt", None)
        constraints["le"] = min(constraints.get("le", high), high)


def _annotation(field: ContractField) -> Any:
    """Return the type annotation that makes msgspec check one field."""
    import msgspec

    constraints = dict(field.constraints or {})
    base: Any
    if field.type in _RANGES:
        _narrow(constraints, *_RANGES[field.type])
        base = float if field.type is FieldType.FLOAT32 else int
    elif field.type is FieldType.TIMESTAMP:
        base, constraints["tz"] = datetime.datetime, True
    else:
        base = {
            FieldType.STRING: str,
            FieldType.BOOLEAN: bool,
            FieldType.FLOAT64: float,
            FieldType.DATE: datetime.date,
            FieldType.UUID: uuid.UUID,
            FieldType.JSON: msgspec.Raw,
        }[field.type]
    if field.enum:
        base = Literal[tuple(field.enum)]
    elif constraints:
        base = Annotated[base, msgspec.Meta(**constraints)]
    if field.type is FieldType.JSON:
        # A union with Raw would refuse objects; `_checked_document` sorts null out.
        return base
    return base | None if field.is_nullable or not field.is_required else base
