"""How the backend keeps the rows of each kind of collection: the SQL that makes, reads and changes them.

A webhook source is one table of rows with the time of their arrival. A table and a materialized view are their rows as
they are now, and a log of what changed when. What a statement changed in a table waits, without a time, in a third.
"""

from __future__ import annotations

from collections.abc import Sequence

from thedata_cli.components.materialize.emulator.catalog import CatalogObject
from thedata_cli.components.materialize.emulator.tokens import quote_name, quote_text

TIMESTAMP, DIFF = "mz_timestamp", "mz_diff"
SET_ERROR = "UPDATE mz_emulator.objects SET error = %s, error_code = %s, error_detail = %s WHERE id = %s"
BODY_TYPES = {"json": "jsonb", "json array": "jsonb", "text": "text", "bytes": "bytea"}


def column_list(columns: Sequence[str], of: str = "") -> str:
    """Return the columns as SQL, each with its table's name in front."""
    return ", ".join((f"{of}." if of else "") + quote_name(column) for column in columns)


def webhook_columns(body_format: str, has_headers: bool, mapped: Sequence[tuple[str, bool]]) -> list[str]:
    """Return the definitions of a webhook source's columns."""
    columns = [f"body {BODY_TYPES[body_format]} NOT NULL"]
    if has_headers:
        columns.append("headers mz_catalog.hstore NOT NULL")
    columns += [f"{quote_name(name)} {'bytea' if is_bytes else 'text'}" for name, is_bytes in mapped]
    return columns


def make_webhook(object_id: str, qualified: str, columns: Sequence[str]) -> list[str]:
    """Return what makes a webhook source."""
    table = f"mz_emulator.{quote_name(object_id)}"
    names = ", ".join(column.split(" ")[0] for column in columns)
    return [
        f"CREATE TABLE {table} ({TIMESTAMP} bigint NOT NULL, {', '.join(columns)})",
        f"CREATE INDEX ON {table} ({TIMESTAMP})",
        f"CREATE VIEW {qualified} AS SELECT {names} FROM {table}",
        f"GRANT SELECT ON {qualified}, {table} TO materialize",
    ]


def make_table(object_id: str, qualified: str) -> list[str]:
    """Return what a table needs beside itself."""
    pending = quote_text(f"{object_id}_pending")
    triggers = [
        ("insert", "NEW TABLE AS rows_new"),
        ("delete", "OLD TABLE AS rows_old"),
        ("update", "NEW TABLE AS rows_new OLD TABLE AS rows_old"),
    ]
    return [
        f"CREATE TABLE mz_emulator.{quote_name(object_id + '_pending')} ({DIFF} bigint NOT NULL, LIKE {qualified})",
        *make_log(object_id, qualified),
        *(
            f"CREATE TRIGGER mz_record_{event} AFTER {event} ON {qualified} REFERENCING {rows} FOR EACH STATEMENT "
            f"EXECUTE FUNCTION mz_emulator.record_{event}({pending})"
            for event, rows in triggers
        ),
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {qualified} TO materialize",
        f"GRANT SELECT ON mz_emulator.{quote_name(object_id + '_pending')} TO materialize",
    ]


def make_log(object_id: str, like: str) -> list[str]:
    """Return what makes the log of changes."""
    log = f"mz_emulator.{quote_name(object_id + '_log')}"
    return [
        f"CREATE TABLE {log} ({TIMESTAMP} bigint NOT NULL, {DIFF} bigint NOT NULL, LIKE {like})",
        f"CREATE INDEX ON {log} ({TIMESTAMP})",
        f"GRANT SELECT ON {log} TO materialize",
    ]


def make_view_storage(object_id: str, columns: Sequence[str]) -> list[str]:
    """Return what keeps the rows of a materialized view whose definition is there."""
    table = f"mz_emulator.{quote_name(object_id)}"
    definition = f"mz_emulator.{quote_name(object_id + '_def')}"
    return [
        f"CREATE TABLE {table} AS SELECT * FROM {definition} WITH NO DATA",
        f"CREATE INDEX ON {table} (hash_record_extended(ROW({column_list(columns)}), 0))",
        f"GRANT SELECT ON {table} TO materialize",
        *make_log(object_id, table),
    ]


def publish_view(one_id: str, qualified: str, columns: Sequence[str]) -> list[str]:
    """Return what shows the rows of a materialized view to clients, or the error that stands in their place."""
    return [
        f"CREATE VIEW {qualified} AS SELECT {column_list(columns)} FROM mz_emulator.{quote_name(one_id)} "
        f"WHERE (SELECT mz_emulator.is_computed({quote_text(one_id)}))",
        f"GRANT SELECT ON {qualified} TO materialize",
    ]


def stamp_pending(table: CatalogObject, timestamp: int) -> str:
    """Return what moves the changes of a table into its log."""
    columns = column_list(table.columns)
    return (
        f"WITH moved AS (DELETE FROM {table.stored_as('_pending')} RETURNING *) "
        f"INSERT INTO {table.stored_as('_log')} SELECT {timestamp}, sum({DIFF}), {columns} FROM moved "
        f"GROUP BY {columns} HAVING sum({DIFF}) <> 0"
    )


def current_rows(one: CatalogObject) -> str:
    """Return the name in SQL of what has the rows of a collection as they are now."""
    return one.qualified if one.kind == "table" and not one.is_webhook else one.stored_as()


def recompute(view: CatalogObject, timestamp: int, current: str | None = None) -> str:
    """Return what logs the difference between a view's rows and what they should be: `current`, or its definition."""
    columns = column_list(view.columns)
    source = f"({current}) AS mz_current" if current else view.stored_as("_def")
    return (
        f"INSERT INTO {view.stored_as('_log')} SELECT {timestamp}, sum(mz_weight), {columns} FROM ("
        f"SELECT {columns}, 1 AS mz_weight FROM {source} "
        f"UNION ALL SELECT {columns}, -1 FROM {view.stored_as()}) AS mz_both GROUP BY {columns} HAVING "
        "sum(mz_weight) <> 0"
    )


def apply_log(view: CatalogObject, timestamp: int) -> tuple[str, str]:
    """Return what removes and what adds the rows that the log has at a time."""
    columns, log, table = column_list(view.columns), view.stored_as("_log"), view.stored_as()
    same = f"ROW({column_list(view.columns, 'kept')}) IS NOT DISTINCT FROM ROW({column_list(view.columns, 'gone')})"
    hashes = [f"hash_record_extended(ROW({column_list(view.columns, of)}), 0)" for of in ("kept", "gone")]
    # LIMIT keeps the backend from reading the whole table for a few rows, which it may think are many.
    remove = (
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT found.place FROM {log} AS gone CROSS JOIN LATERAL ("
        f"SELECT kept.ctid AS place FROM {table} AS kept WHERE {hashes[0]} = {hashes[1]} AND {same} "
        f"LIMIT -gone.{DIFF}) AS found WHERE gone.{TIMESTAMP} = {timestamp} AND gone.{DIFF} < 0))"
    )
    add = (
        f"INSERT INTO {table} SELECT {columns} FROM {log}, generate_series(1, {DIFF}) "
        f"WHERE {TIMESTAMP} = {timestamp} AND {DIFF} > 0"
    )
    return remove, add


def state_at(one: CatalogObject, timestamp: int) -> str:
    """Return a query of the rows at a time, each once with its count as `mz_diff`."""
    columns = column_list(one.columns)
    if one.is_webhook:
        return (
            f"SELECT count(*) AS {DIFF}, {columns} FROM {one.stored_as()} WHERE {TIMESTAMP} <= {timestamp} GROUP "
            f"BY {columns}"
        )
    later = [f"SELECT {columns}, -{DIFF} FROM {one.stored_as('_log')} WHERE {TIMESTAMP} > {timestamp}"]
    if one.kind == "table":
        later.append(f"SELECT {columns}, -{DIFF} FROM {one.stored_as('_pending')}")
    return (
        f"SELECT sum(mz_weight)::bigint AS {DIFF}, {columns} FROM (SELECT {columns}, 1::bigint AS mz_weight FROM "
        f"{current_rows(one)} "
        f"UNION ALL {' UNION ALL '.join(later)}) AS mz_all GROUP BY {columns} HAVING sum(mz_weight) <> 0"
    )


def changes_between(one: CatalogObject, after: int, until: int) -> str:
    """Return a query of the changes in a span of time: `mz_timestamp`, `mz_diff` and the columns."""
    columns = column_list(one.columns)
    span = f"{TIMESTAMP} > {after} AND {TIMESTAMP} <= {until}"
    if one.is_webhook:
        return (
            f"SELECT {TIMESTAMP}, count(*) AS {DIFF}, {columns} FROM {one.stored_as()} WHERE {span} GROUP BY "
            f"{TIMESTAMP}, {columns}"
        )
    return f"SELECT {TIMESTAMP}, {DIFF}, {columns} FROM {one.stored_as('_log')} WHERE {span}"
