"""CHECK of a webhook source, as a function of the backend: the request's body and headers in, a truth value out."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from thedata_cli.components.materialize.emulator.statements import Check, Text
from thedata_cli.components.materialize.emulator.tokens import quote_name, tokenize

if TYPE_CHECKING:
    from thedata_cli.components.materialize.emulator.definitions import Creation


async def make_check(creation: Creation, object_id: str, check: Check) -> tuple[dict[str, Any], list[str]]:
    """Make the function, and return the check for the catalog and the ids of its secrets.

    Raises:
        EmulatorError: A secret is unknown, or PostgreSQL does not take the condition.
    """
    inputs: list[tuple[str, str, bool, str | None]] = []
    columns, secrets = [], []
    for one in check.inputs:
        if one.secret is not None:
            secret = creation.catalog.get(one.secret, creation.variables.schemas, "secret")
            secrets.append(secret.id)
            value = f"(SELECT value FROM mz_emulator.secrets WHERE id = '{secret.id}')"
            inputs.append((one.kind, one.alias, one.is_bytes, secret.id))
        else:
            value = "request_headers" if one.kind == "headers" else "request_body"
            inputs.append((one.kind, one.alias, one.is_bytes, None))
        if one.kind != "headers" and not one.is_bytes:
            value = f"convert_from({value}, 'UTF8')"
        columns.append(f"{value} AS {quote_name(one.alias)}")
    name = f"mz_emulator.{quote_name(object_id + '_check')}"
    rows = f"SELECT {', '.join(columns)}" if columns else "SELECT"
    prefix = (
        f"CREATE FUNCTION {name}(request_body bytea, request_headers mz_catalog.hstore) RETURNS boolean "
        "LANGUAGE sql STABLE "
        f"SET search_path = mz_catalog, pg_catalog BEGIN ATOMIC SELECT ("
    )
    await creation.run_text(
        prefix, Text(check.condition.sql, check.condition.position), f")::boolean FROM ({rows}) AS request; END"
    )
    return {"inputs": inputs, "condition": _one_line(check.condition.sql)}, secrets


def _one_line(sql: str) -> str:
    """Return an expression with single spaces where the client broke its lines."""
    tokens = tokenize(sql)
    parts = [sql[tokens[0].start : tokens[0].end]]
    for before, token in itertools.pairwise(tokens):
        parts.append((" " if token.start > before.end else "") + sql[token.start : token.end])
    return "".join(parts)
