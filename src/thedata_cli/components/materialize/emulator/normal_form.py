"""Definitions as Materialize prints them: names in full, quoted only where needed, one clause a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thedata_cli.components.materialize.emulator.catalog import Catalog, CatalogObject
from thedata_cli.components.materialize.emulator.postgres import DATABASE
from thedata_cli.components.materialize.emulator.statements import MATERIALIZED_VIEW
from thedata_cli.components.materialize.emulator.tokens import QUOTED, SYMBOL, WORD, display_name, quote_text, tokenize

if TYPE_CHECKING:
    from psycopg import AsyncConnection


def full_name(schema: str, name: str) -> str:
    """Return a name of three parts.

    Example:
        >>> full_name("public", "Events")
        'materialize.public."Events"'
    """
    return ".".join(display_name(part) for part in (DATABASE, schema, name))


def with_database(query: str, known: set[tuple[str, str]]) -> str:
    """Put the database in front of the names of two parts that are objects.

    Example:
        >>> with_database("SELECT e.a FROM public.e", {("public", "e")})
        'SELECT e.a FROM materialize.public.e'
    """
    tokens = tokenize(query)
    places = []
    for at in range(len(tokens) - 2):
        schema, dot, name = tokens[at : at + 3]
        before = tokens[at - 1] if at else None
        is_pair = (
            schema.kind in (WORD, QUOTED) and dot.value == "." and dot.kind == SYMBOL and name.kind in (WORD, QUOTED)
        )
        if is_pair and (schema.value, name.value) in known and (before is None or before.value != "."):
            places.append(schema.start)
    for place in reversed(places):
        query = f"{query[:place]}{DATABASE}.{query[place:]}"
    return query


async def printed_query(connection: AsyncConnection[Any], relation: str, catalog: Catalog) -> str:
    """Return the query of a view in the backend, with all names in full."""
    async with connection.transaction():
        await connection.execute("SET LOCAL search_path = ''")
        row = await (await connection.execute("SELECT pg_get_viewdef(%s::regclass, true)", [relation])).fetchone()
    text = str(row[0]).strip().removesuffix(";") if row else ""
    known = {(one.schema_name, one.name) for one in catalog.objects.values()}
    return with_database(text, known)


def view_text(
    kind: str, schema: str, name: str, query: str, cluster: str, retain: str, not_null: tuple[str, ...]
) -> str:
    """Return CREATE [MATERIALIZED] VIEW."""
    head = f"CREATE {kind.replace('-', ' ').upper()} {full_name(schema, name)}"
    if kind != MATERIALIZED_VIEW:
        return f"{head} AS\n    {_indented(query)}"
    options = [f"ASSERT NOT NULL = {display_name(column)}" for column in not_null]
    options += ([f"RETAIN HISTORY = FOR {retain}"] if retain else []) + ["REFRESH = ON COMMIT"]
    return (
        f"{head}\n    IN CLUSTER {display_name(cluster)}\n    WITH ({', '.join(options)})\n    AS\n    "
        f"{_indented(query)}"
    )


def _indented(query: str) -> str:
    return "\n    ".join(line.strip() for line in query.splitlines())


def retention(retain_ms: int | None) -> str:
    """Return an interval as an SQL string; empty for none."""
    return f"'{retain_ms}ms'" if retain_ms is not None else ""


def webhook_text(kind: str, schema: str, name: str, definition: dict[str, Any], cluster: str, catalog: Catalog) -> str:
    """Return CREATE SOURCE | TABLE … FROM WEBHOOK."""
    parts = [f"CREATE {kind.upper()} {full_name(schema, name)}"]
    if kind == "source":
        parts.append(f"    IN CLUSTER {display_name(cluster)}")
    parts += ["    FROM WEBHOOK", f"        BODY FORMAT {definition['body_format'].upper()}"]
    headers = definition["headers"]
    if headers is not None:
        filters = [quote_text(one) for one in headers["only"]] + [
            f"NOT {quote_text(one)}" for one in headers["without"]
        ]
        parts.append("        INCLUDE HEADERS" + (f" ({', '.join(filters)})" if filters else ""))
    for header, column, is_bytes in definition["mapped"]:
        parts.append(
            f"        INCLUDE HEADER {quote_text(header)} AS {display_name(column)}{' BYTES' if is_bytes else ''}"
        )
    if definition["check"]:
        parts.append(f"        CHECK ({_check_text(definition['check'], catalog)})")
    return "\n".join(parts)


def _check_text(check: dict[str, Any], catalog: Catalog) -> str:
    inputs = []
    for kind, alias, is_bytes, secret_id in check["inputs"]:
        what = kind.upper()
        if secret_id:
            secret = catalog.objects[secret_id]
            what = f"SECRET {full_name(secret.schema_name, secret.name)}"
        inputs.append(f"{what} AS {display_name(alias)}{' BYTES' if is_bytes else ''}")
    return (f"WITH ({', '.join(inputs)}) " if inputs else "") + str(check["condition"])


def index_text(index: CatalogObject | str, on: CatalogObject, keys: list[str], cluster: str) -> str:
    """Return CREATE INDEX."""
    name = index if isinstance(index, str) else index.name
    key_list = ", ".join(keys)
    return (
        f"CREATE INDEX {display_name(name)}\n    IN CLUSTER {display_name(cluster)}\n    ON "
        f"{full_name(on.schema_name, on.name)} ({key_list})"
    )
