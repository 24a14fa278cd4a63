"""Materialize's own statements, parsed. What is no statement of this module goes to PostgreSQL as it is."""

from __future__ import annotations

from dataclasses import dataclass, field

MATERIALIZED_VIEW = "materialized-view"


@dataclass(frozen=True)
class Name:
    """A name as written, of one to three parts."""

    parts: tuple[str, ...]
    position: int

    @property
    def last(self) -> str:
        """The object's own name."""
        return self.parts[-1]


@dataclass(frozen=True)
class Text:
    """A part of the client's text that PostgreSQL reads: an expression, a query, a list of columns."""

    sql: str
    position: int


@dataclass(frozen=True)
class Statement:
    """A statement that the emulator runs itself; `tag` is what the client is told when it is done."""

    tag: str


@dataclass(frozen=True)
class CreateSchema(Statement):
    """CREATE SCHEMA."""

    name: Name
    if_not_exists: bool


@dataclass(frozen=True)
class CreateCluster(Statement):
    """CREATE CLUSTER; options as written, by lower-case name."""

    name: Name
    if_not_exists: bool
    options: dict[str, str]


@dataclass(frozen=True)
class AlterCluster(Statement):
    """ALTER CLUSTER … SET or RESET."""

    name: Name
    if_exists: bool
    options: dict[str, str]


@dataclass(frozen=True)
class CreateSecret(Statement):
    """CREATE SECRET and ALTER SECRET … AS."""

    name: Name
    if_not_exists: bool
    value: Text


@dataclass(frozen=True)
class AlterSecret(Statement):
    """ALTER SECRET … AS."""

    name: Name
    if_exists: bool
    value: Text


@dataclass(frozen=True)
class MappedHeader:
    """INCLUDE HEADER 'name' AS column [BYTES]."""

    header: str
    column: str
    is_bytes: bool


@dataclass(frozen=True)
class HeadersColumn:
    """INCLUDE HEADERS, with the names that it takes or leaves out."""

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckInput:
    """One of HEADERS, BODY or SECRET in CHECK (WITH (…))."""

    kind: str
    alias: str
    is_bytes: bool
    secret: Name | None = None


@dataclass(frozen=True)
class Check:
    """CHECK ([WITH (…)] condition)."""

    inputs: tuple[CheckInput, ...]
    condition: Text


@dataclass(frozen=True)
class CreateWebhook(Statement):
    """CREATE SOURCE | TABLE … FROM WEBHOOK."""

    name: Name
    kind: str
    if_not_exists: bool
    cluster: Name | None
    body_format: str
    headers_column: HeadersColumn | None
    mapped_headers: tuple[MappedHeader, ...]
    check: Check | None


@dataclass(frozen=True)
class CreateTable(Statement):
    """CREATE TABLE; the columns are read by PostgreSQL."""

    name: Name
    if_not_exists: bool
    columns: Text
    retain_ms: int | None


@dataclass(frozen=True)
class CreateView(Statement):
    """CREATE [MATERIALIZED] VIEW."""

    name: Name
    kind: str
    if_not_exists: bool
    or_replace: bool
    columns: tuple[str, ...]
    query: Text
    cluster: Name | None = None
    retain_ms: int | None = None
    not_null: tuple[str, ...] = ()
    replaces: Name | None = None


@dataclass(frozen=True)
class CreateIndex(Statement):
    """CREATE [DEFAULT] INDEX."""

    name: Name | None
    if_not_exists: bool
    on: Name
    keys: tuple[Text, ...] | None
    cluster: Name | None
    retain_ms: int | None


@dataclass(frozen=True)
class Drop(Statement):
    """DROP of any kind of object."""

    kind: str
    names: tuple[Name, ...]
    if_exists: bool
    cascade: bool


@dataclass(frozen=True)
class Rename(Statement):
    """ALTER … RENAME TO."""

    kind: str
    name: Name
    if_exists: bool
    new_name: str


@dataclass(frozen=True)
class Swap(Statement):
    """ALTER SCHEMA | CLUSTER … SWAP WITH."""

    kind: str
    name: Name
    other: Name


@dataclass(frozen=True)
class SetRetention(Statement):
    """ALTER … SET or RESET (RETAIN HISTORY …)."""

    kind: str
    name: Name
    if_exists: bool
    retain_ms: int | None


@dataclass(frozen=True)
class ApplyReplacement(Statement):
    """ALTER MATERIALIZED VIEW … APPLY REPLACEMENT."""

    name: Name
    replacement: Name


@dataclass(frozen=True)
class Accepted(Statement):
    """A statement that has nothing to do here, such as ALTER … OWNER TO: every role is a superuser."""


@dataclass(frozen=True)
class Comment(Statement):
    """COMMENT ON; no text removes it."""

    kind: str
    name: Name
    column: str | None
    text: str | None


@dataclass(frozen=True)
class Show(Statement):
    """SHOW of objects and of their definitions; becomes a query of the catalog."""

    what: str
    name: Name | None = None
    source: Name | None = None
    cluster: Name | None = None
    like: str | None = None
    where: Text | None = None
    redacted: bool = False


@dataclass(frozen=True)
class Subscribe(Statement):
    """SUBSCRIBE, by itself, in DECLARE or in COPY."""

    name: Name | None
    query: Text | None
    envelope: str = "diffs"
    keys: tuple[str, ...] = ()
    order_within: Text | None = None
    snapshot: bool = True
    progress: bool = False
    as_of: Text | None = None
    at_least: bool = False
    up_to: Text | None = None


@dataclass(frozen=True)
class Declare(Statement):
    """DECLARE … CURSOR FOR SUBSCRIBE."""

    cursor: str
    subscribe: Subscribe


@dataclass(frozen=True)
class CopySubscribe(Statement):
    """COPY (SUBSCRIBE …) TO STDOUT."""

    subscribe: Subscribe
    options: Text | None


@dataclass(frozen=True)
class Fetch(Statement):
    """FETCH … [WITH (timeout = …)]; no count means all."""

    cursor: str
    count: int | None
    timeout_s: float | None


@dataclass(frozen=True)
class CloseCursor(Statement):
    """CLOSE, for one cursor or, without a name, for all."""

    cursor: str | None


@dataclass(frozen=True)
class Begin(Statement):
    """BEGIN or START TRANSACTION."""

    read_only: bool = False


@dataclass(frozen=True)
class End(Statement):
    """COMMIT or ROLLBACK."""

    commits: bool


@dataclass(frozen=True)
class SetVariable(Statement):
    """SET of a variable that PostgreSQL does not have, or has in another sense."""

    name: str
    values: tuple[str, ...] = field(default=())
    is_local: bool = False


@dataclass(frozen=True)
class ShowVariable(Statement):
    """SHOW of such a variable."""

    name: str
