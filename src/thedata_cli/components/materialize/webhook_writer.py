"""Writes the rows of a pipeline into a webhook source, each once.

A batch is as few requests as the server's limit allows; all rows of a request are stored, or none. A source keeps what
it gets and knows no keys, so rows that may be there already are looked up first.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from thedata_cli.component_api.contracts import SEQUENCE_COLUMN
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import Batch, RejectedRow
from thedata_cli.component_api.routes import Route
from thedata_cli.components.materialize.connection import Connection
from thedata_cli.components.materialize.json_values import comparable
from thedata_cli.components.materialize.objects import DATABASE, SCHEMA
from thedata_cli.components.materialize.sql_text import literal, quoted
from thedata_cli.components.materialize.webhook_requests import Webhook, open_webhook
from thedata_cli.components.materialize.webhook_sources import BODY_HINT, JSON, WebhookDefinition, webhook_definition
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError

_MOST_BYTES = 4 * 2**20
"""Of one request; the server takes 5 MiB."""

_SEQUENCE = f"CASE WHEN body->>'{SEQUENCE_COLUMN}' ~ '^[0-9]{{1,18}}$' THEN (body->>'{SEQUENCE_COLUMN}')::bigint END"
"""Guarded: whoever may send to the source may send anything."""

_APPLY = "create it with `thedata apply`"
_OF_A_BODY = "failed to deserialize body"
"""How the server's answer begins when a row is at fault."""


@dataclass(frozen=True)
class _Line:
    """One row as it is sent."""

    sequence: int
    body: bytes


class WebhookWriter:
    """The writer of one route; see `TableWriter`."""

    def __init__(
        self, connection: Connection, webhook: Webhook, source: str, definition: WebhookDefinition, key: bytes
    ) -> None:
        self._connection = connection
        self._webhook = webhook
        self._source = source
        self._definition = definition
        self._key = key
        self._relation = f"{quoted(DATABASE)}.{quoted(SCHEMA)}.{quoted(source)}"

    async def highest_sequence(self) -> int:
        """Return the highest `_sequence` in the source, 0 when it has none."""
        rows = await self._connection.rows(f"SELECT max({_SEQUENCE}) FROM {self._relation}")
        return int(rows[0][0] or 0)

    async def write(self, batch: Batch) -> Sequence[RejectedRow]:
        """Write a batch; when it returns, the server has confirmed all rows but the returned ones.

        Raises:
            ServiceUnreachableError: The server is down, or may have stored some of the rows: try again later.
            StatementRejectedError: The server refuses for a reason outside the rows, such as a missing source.
        """
        lines = _encoded(batch.rows)
        if batch.may_be_present:
            lines = await self._missing(lines, set(batch.may_be_present))
        rejected: list[RejectedRow] = []
        pending = list(_requests(lines))[::-1]
        while pending:
            part = pending.pop()
            reason = await self._post(part)
            if reason and len(part) == 1:
                rejected.append(RejectedRow(part[0].sequence, reason))
            elif reason:
                middle = len(part) // 2
                pending += [part[middle:], part[:middle]]
        return rejected

    async def _post(self, lines: Sequence[_Line]) -> str:
        """Send one request; return why the server does not take one of the rows, or all of them at once."""
        body = b"\n".join([line.body for line in lines])
        signature = base64.b64encode(hmac.digest(self._key, body, hashlib.sha256)).decode() if self._key else ""
        status, text = await self._webhook.post(body, signature)
        if status == 200:
            return ""
        if status == 413 or (status == 400 and text.startswith(_OF_A_BODY)):
            return f"Materialize: {text}"
        raise self._refusal(status, text)

    def _refusal(self, status: int, text: str) -> ServiceUnreachableError | StatementRejectedError:
        message = f"Materialize does not take rows for source {self._source}: {text or 'no reason given'} ({status})"
        if status == 429 or status >= 500:
            return ServiceUnreachableError(message, hint="`thedata doctor` tells what it lacks")
        if status == 404:
            return StatementRejectedError(message, hint=_APPLY)
        if status == 400 and self._definition.check:
            return StatementRejectedError(message, hint=self._signature_hint(), detail=self._definition.check)
        return StatementRejectedError(message, hint="`thedata logs materialize` may say more")

    def _signature_hint(self) -> str:
        if not self._definition.secrets:
            return "its CHECK has no SECRET to sign rows with; docs/components/materialize.md has one that takes them"
        return (
            f"its CHECK must take the header x-signature, base64 of the HMAC-SHA-256 of the body with the secret "
            f"{self._definition.secrets[0]}; `thedata apply` brings a changed secret to the server"
        )

    async def _missing(self, lines: Sequence[_Line], doubtful: set[int]) -> list[_Line]:
        """Return the rows that the source does not have: not their sequence, or not with their content."""
        asked = [line for line in lines if line.sequence in doubtful]
        if not asked:
            return list(lines)
        low, high = min(line.sequence for line in asked), max(line.sequence for line in asked)
        rows = await self._connection.rows(
            f"SELECT {_SEQUENCE}, body::text FROM {self._relation} WHERE {_SEQUENCE} BETWEEN {low} AND {high}"
        )
        present: dict[int, list[str]] = {}
        for sequence, body in rows:
            present.setdefault(sequence, []).append(body)
        return [line for line in lines if line.sequence not in doubtful or not _is_among(line, present)]


@contextlib.asynccontextmanager
async def open_writer(endpoint: Endpoint, connection: Connection, route: Route) -> AsyncIterator[WebhookWriter]:
    """Open a writer for the source of a route.

    Raises:
        ServiceUnreachableError: The server does not answer.
        StatementRejectedError: The source is missing, takes no JSON, or its secret is not known here.
    """
    source = route.target.name
    definition = await _definition(connection, source)
    key = _key(endpoint, source, definition)
    async with open_webhook(endpoint, source) as webhook:
        yield WebhookWriter(connection, webhook, source, definition, key)


async def _definition(connection: Connection, source: str) -> WebhookDefinition:
    rows = await connection.rows(
        "SELECT o.create_sql FROM mz_catalog.mz_sources o JOIN mz_catalog.mz_schemas s ON s.id = o.schema_id "
        "JOIN mz_catalog.mz_databases b ON b.id = s.database_id "
        f"WHERE o.name = {literal(source)} AND s.name = {literal(SCHEMA)} AND b.name = {literal(DATABASE)}"
    )
    if not rows:
        raise StatementRejectedError(f"there is no source {source} in Materialize", hint=_APPLY)
    definition = webhook_definition(rows[0][0] or "")
    if definition.body_format != JSON:
        what = definition.body_format.upper() or "no webhooks"
        raise StatementRejectedError(f"source {source} takes {what}, and no rows of a pipeline", hint=BODY_HINT)
    return definition


def _key(endpoint: Endpoint, source: str, definition: WebhookDefinition) -> bytes:
    """Return what rows are signed with; empty when the source asks for no secret."""
    if not definition.secrets:
        return b""
    name = definition.secrets[0]
    if name not in endpoint.secrets:
        raise StatementRejectedError(
            f"the CHECK of source {source} asks for the secret {name}, whose value is not known here",
            hint=f"declare it: views/{name}.sql with CREATE SECRET {name} AS :'{name}', and secrets/{name}",
            detail=definition.check,
        )
    return endpoint.secrets[name].encode()


def _encoded(rows: Sequence[Any]) -> list[_Line]:
    import msgspec

    encode = msgspec.json.Encoder().encode
    return [_Line(row.sequence, encode(row)) for row in rows]


def _requests(lines: Sequence[_Line]) -> Iterator[Sequence[_Line]]:
    """Cut rows into parts that fit one request each; a row that is too large is one by itself."""
    begin = size = 0
    for at, line in enumerate(lines):
        if at > begin and size + len(line.body) + 1 > _MOST_BYTES:
            yield lines[begin:at]
            begin, size = at, 0
        size += len(line.body) + 1
    if begin < len(lines):
        yield lines[begin:]


def _is_among(line: _Line, present: dict[int, list[str]]) -> bool:
    return line.sequence in present and comparable(line.body.decode()) in map(comparable, present[line.sequence])
