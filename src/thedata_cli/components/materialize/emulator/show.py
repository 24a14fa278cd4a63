"""SHOW as queries of the catalog."""

from __future__ import annotations

from thedata_cli.components.materialize.emulator.catalog import RELATIONS, Catalog
from thedata_cli.components.materialize.emulator.errors import UNDEFINED_OBJECT, EmulatorError
from thedata_cli.components.materialize.emulator.statements import MATERIALIZED_VIEW, Show
from thedata_cli.components.materialize.emulator.tokens import quote_text
from thedata_cli.components.materialize.emulator.variables import Variables


def _comment(comparison: str) -> str:
    """Select the comment of `o`; a cluster and an object may have the same id."""
    return (
        "coalesce((SELECT c.comment FROM mz_internal.mz_comments c WHERE c.id = o.id AND c.object_sub_id IS NULL "
        f"AND c.object_type {comparison} 'cluster'), '') AS comment"
    )


_COMMENT = _comment("<>")
_CLUSTER = "(SELECT k.name FROM mz_catalog.mz_clusters k WHERE k.id = o.cluster_id) AS cluster"
_OF_SCHEMA = {
    "tables": ("table", ""),
    "views": ("view", ""),
    "secrets": ("secret", ""),
    "connections": ("connection", "'' AS type, "),
    "sinks": ("sink", f"'' AS type, {_CLUSTER}, "),
    "sources": ("source", f"'webhook' AS type, {_CLUSTER}, "),
    "materialized views": (MATERIALIZED_VIEW, f"{_CLUSTER}, "),
}


def show_query(show: Show, catalog: Catalog, variables: Variables) -> str:
    """Return the query that answers a SHOW.

    Raises:
        EmulatorError: The object, schema or cluster is unknown.
    """
    if show.what.startswith("create "):
        return _create(show, catalog, variables)
    if show.what == "columns":
        rows = _columns(show, catalog, variables)
    elif show.what == "indexes":
        rows = _indexes(show, catalog, variables)
    elif show.what in _OF_SCHEMA or show.what == "objects":
        rows = _objects(show, catalog, variables)
    else:
        rows = _OTHERS[show.what]
    conditions = []
    if show.like is not None:
        conditions.append(f"name LIKE {quote_text(show.like)}")
    if show.where is not None:
        conditions.append(f"({show.where.sql})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = "position" if show.what == "columns" else "1"
    columns = "name, nullable, type, comment" if show.what == "columns" else "*"
    return f"SELECT {columns} FROM ({rows}) AS shown{where} ORDER BY {order}"


_OTHERS = {
    "schemas": "SELECT o.name, '' AS comment FROM mz_catalog.mz_schemas o WHERE o.database_id IS NOT NULL",
    "databases": "SELECT o.name, '' AS comment FROM mz_catalog.mz_databases o",
    "roles": "SELECT o.name, '' AS comment FROM mz_catalog.mz_roles o",
    "clusters": (
        "SELECT o.name, (SELECT string_agg(r.name || ' (' || r.size || ')', ', ' ORDER BY r.name) FROM "
        "mz_catalog.mz_cluster_replicas r "
        f"WHERE r.cluster_id = o.id) AS replicas, {_comment('=')} FROM mz_catalog.mz_clusters o"
    ),
}


def _schema(show: Show, catalog: Catalog, variables: Variables) -> str:
    if show.source is None:
        return next((one for one in variables.schemas if one in catalog.schemas), "public")
    if show.source.last not in catalog.schemas:
        raise EmulatorError(UNDEFINED_OBJECT, f"unknown schema '{show.source.last}'", position=show.source.position)
    return show.source.last


def _objects(show: Show, catalog: Catalog, variables: Variables) -> str:
    schema = quote_text(_schema(show, catalog, variables))
    if show.what == "objects":
        kind, extra = "", "o.type, "
    else:
        word, extra = _OF_SCHEMA[show.what]
        kind = f" AND o.type = '{word}'"
    cluster = f" AND o.cluster_id = '{catalog.cluster(show.cluster, '').id}'" if show.cluster else ""
    return (
        f"SELECT o.name, {extra}{_COMMENT} FROM mz_catalog.mz_objects o JOIN mz_catalog.mz_schemas s ON s.id "
        "= o.schema_id "
        f"WHERE s.name = {schema}{kind}{cluster}"
    )


def _columns(show: Show, catalog: Catalog, variables: Variables) -> str:
    if show.name is None:
        raise EmulatorError(UNDEFINED_OBJECT, "SHOW COLUMNS needs a name")
    one = catalog.get(show.name, variables.schemas, *RELATIONS)
    return (
        "SELECT o.name, o.nullable, o.type, coalesce((SELECT c.comment FROM mz_internal.mz_comments c WHERE "
        "c.id = o.id AND c.object_type <> 'cluster' "
        "AND c.object_sub_id = o.position), '') AS comment, o.position FROM mz_catalog.mz_columns o WHERE "
        f"o.id = '{one.id}'"
    )


def _indexes(show: Show, catalog: Catalog, variables: Variables) -> str:
    conditions = []
    if show.name is not None:
        conditions.append(f"o.on_id = '{catalog.get(show.name, variables.schemas, *RELATIONS).id}'")
    elif show.cluster is None or show.source is not None:
        conditions.append(f"s.name = {quote_text(_schema(show, catalog, variables))}")
    if show.cluster is not None:
        conditions.append(f"o.cluster_id = '{catalog.cluster(show.cluster, '').id}'")
    keys = (
        "(SELECT array_agg(coalesce((SELECT a.name FROM mz_catalog.mz_columns a WHERE a.id = o.on_id AND "
        "a.position = k.on_position), "
        "k.on_expression) ORDER BY k.index_position) FROM mz_catalog.mz_index_columns k WHERE k.index_id = o.id) AS key"
    )
    return (
        f'SELECT o.name, r.name AS "on", {_CLUSTER}, {keys}, {_COMMENT} FROM mz_catalog.mz_indexes o '
        "JOIN mz_catalog.mz_objects r ON r.id = o.on_id JOIN mz_catalog.mz_schemas s ON s.id = r.schema_id "
        f"WHERE {' AND '.join(conditions)}"
    )


def _create(show: Show, catalog: Catalog, variables: Variables) -> str:
    kind = show.what.removeprefix("create ")
    if show.name is None:
        raise EmulatorError(UNDEFINED_OBJECT, "SHOW CREATE needs a name")
    if kind == "cluster":
        cluster = catalog.cluster(show.name, "")
        text = (
            f"CREATE CLUSTER {cluster.name} (REPLICATION FACTOR = {cluster.replication_factor}, SIZE = "
            f"{quote_text(cluster.size or '')})"
        )
        return f"SELECT {quote_text(cluster.name)} AS name, {quote_text(text + ';')} AS create_sql"
    one = catalog.get(show.name, variables.schemas, kind)
    if kind == "secret":
        raise EmulatorError(
            "42809", f"{one.full_name} is a secret, whose definition is not shown", position=show.name.position
        )
    return f"SELECT {quote_text(one.full_name)} AS name, {quote_text(one.create_sql + ';')} AS create_sql"
