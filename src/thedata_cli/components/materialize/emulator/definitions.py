"""CREATE: each object's row in the catalog, and what the backend keeps for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from thedata_cli.components.materialize.emulator import normal_form, storage
from thedata_cli.components.materialize.emulator.catalog import RELATIONS, Catalog, CatalogObject
from thedata_cli.components.materialize.emulator.checks import make_check
from thedata_cli.components.materialize.emulator.errors import (
    DUPLICATE_OBJECT,
    INTERNAL_ERROR,
    EmulatorError,
    from_postgres,
    not_supported,
)
from thedata_cli.components.materialize.emulator.options import cluster_options
from thedata_cli.components.materialize.emulator.redaction import REDACTED
from thedata_cli.components.materialize.emulator.statements import (
    MATERIALIZED_VIEW,
    CreateCluster,
    CreateIndex,
    CreateSchema,
    CreateSecret,
    CreateTable,
    CreateView,
    CreateWebhook,
    Name,
    Text,
)
from thedata_cli.components.materialize.emulator.tokens import Source, display_name, quote_name, tokenize
from thedata_cli.components.materialize.emulator.variables import Variables
from thedata_cli.components.materialize.emulator.view_rules import check_definition

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from thedata_cli.components.materialize.emulator.replacing import Replacing


@dataclass(frozen=True)
class NewObject:
    """What an object's row is made of; `relation` is the name in SQL of what clients read."""

    id: str
    kind: str
    schema_name: str
    name: str
    create_sql: str
    relation: str | None = None
    cluster_id: str | None = None
    on_id: str | None = None
    definition: dict[str, Any] = field(default_factory=dict)
    retain_ms: int | None = None
    is_temporary: bool = False


class Creation:
    """One CREATE, inside the transaction of a tick."""

    def __init__(
        self, connection: AsyncConnection[Any], catalog: Catalog, variables: Variables, timestamp: int
    ) -> None:
        self.connection = connection
        self.catalog = catalog
        self.variables = variables
        self.timestamp = timestamp
        self.notices: list[str] = []
        self.recompute: set[str] = set()
        self.renames = False

    async def run(self, sql: str, parameters: Sequence[object] | None = None) -> Any:
        """Run one statement and return its first row."""
        try:
            cursor = await self.connection.execute(sql.encode(), parameters)
            return await cursor.fetchone() if cursor.description else None
        except psycopg.Error as error:
            raise from_postgres(error) from error

    async def run_text(self, prefix: str, text: Text, suffix: str = "") -> None:
        """Run a statement around a text of the client, with the client's search path and positions."""
        await self.run(f"SET LOCAL search_path = {self.variables.backend_search_path}")
        try:
            await self.connection.execute((prefix + text.sql + suffix).encode())
        except psycopg.Error as error:
            raise from_postgres(error, text.position, len(prefix)) from error
        await self.run("SET LOCAL search_path = public, mz_catalog, pg_catalog")

    async def new_id(self) -> str:
        """Return the next id of a user's object."""
        row = await self.run("SELECT nextval('mz_emulator.ids')")
        return f"u{row[0]}"

    def is_taken(self, schema: str, name: Name, if_not_exists: bool) -> bool:
        """Whether the object is there already, which IF NOT EXISTS allows.

        Raises:
            EmulatorError: It is there, and must not be.
        """
        found = self.catalog.find(Name((schema, name.last), name.position), ())
        if found is None:
            return False
        message = f"catalog item '{name.last}' already exists"
        if not if_not_exists:
            raise EmulatorError(DUPLICATE_OBJECT, message, position=name.position)
        self.notices.append(f'{found.kind.replace("-", " ")} "{name.last}" already exists, skipping')
        return True

    async def record(self, new: NewObject) -> None:
        """Write an object's row."""
        await self.run(
            "INSERT INTO mz_emulator.objects VALUES "
            "(%s, %s, %s, %s, %s, %s::regclass::oid, %s, %s, %s, %s, %s, NULL, NULL, NULL, %s)",
            [
                new.id, new.kind, new.schema_name, new.name, new.cluster_id, new.relation, new.on_id,
                json.dumps(new.definition), new.create_sql, new.retain_ms, self.timestamp, new.is_temporary,
            ],
        )  # fmt: skip

    async def record_references(self, object_id: str, view: str) -> list[CatalogObject]:
        """Write which objects a view of the backend reads, and return them."""
        cursor = await self.connection.execute(_REFERENCES, [view])
        relations = {row[0] for row in await cursor.fetchall()}
        read = [one for one in self.catalog.objects.values() if one.relation in relations and one.id != object_id]
        for one in read:
            await self.run("INSERT INTO mz_emulator.references VALUES (%s, %s)", [object_id, one.id])
        return read

    async def schema(self, statement: CreateSchema) -> None:
        """CREATE SCHEMA."""
        name = statement.name.last
        if name in self.catalog.schemas:
            if not statement.if_not_exists:
                raise EmulatorError("42P06", f"schema '{name}' already exists", position=statement.name.position)
            return
        if name.startswith(("mz_", "pg_")):
            raise EmulatorError("42939", f"unacceptable schema name '{name}'", position=statement.name.position)
        await self.run(f"CREATE SCHEMA {quote_name(name)}")
        await self.run(f"GRANT USAGE ON SCHEMA {quote_name(name)} TO materialize")

    async def cluster(self, statement: CreateCluster) -> None:
        """CREATE CLUSTER."""
        name = statement.name.last
        if name in self.catalog.clusters:
            if not statement.if_not_exists:
                raise EmulatorError(
                    DUPLICATE_OBJECT, f"cluster '{name}' already exists", position=statement.name.position
                )
            self.notices.append(f'cluster "{name}" already exists, skipping')
            return
        size, factor = cluster_options(statement.options, statement.name.position)
        if size is None:
            raise EmulatorError(
                "22023", "SIZE must be specified for managed clusters", position=statement.name.position
            )
        values = [name, size, 1 if factor is None else factor]
        await self.run(
            "INSERT INTO mz_emulator.clusters SELECT 'u' || nextval('mz_emulator.cluster_ids'), %s, %s, %s", values
        )

    async def secret(self, statement: CreateSecret) -> None:
        """CREATE SECRET."""
        schema = self.catalog.schema_for(statement.name, self.variables.schemas)
        if self.is_taken(schema, statement.name, statement.if_not_exists):
            return
        object_id = await self.new_id()
        text = f"CREATE SECRET {normal_form.full_name(schema, statement.name.last)} AS '{REDACTED}'"
        await self.record(NewObject(object_id, "secret", schema, statement.name.last, text))
        await self.set_secret(object_id, statement.value)

    async def set_secret(self, object_id: str, value: Text) -> None:
        """Store a secret's value, which is bytes: text in quotes stands for the bytes of that text.

        Raises:
            EmulatorError: It is something else, or cannot be computed.
        """
        if Source(value.sql, tokenize(value.sql)).words() & {"select", "values", "table"}:
            raise EmulatorError("42601", "CREATE SECRET does not allow subqueries", position=value.position)
        prefix = f"INSERT INTO mz_emulator.secrets VALUES ('{object_id}', ("
        suffix = ")) ON CONFLICT (id) DO UPDATE SET value = excluded.value"
        try:
            await self.run_text(prefix, value, suffix)
        except EmulatorError as error:
            if error.sqlstate == _NULL_IN_COLUMN:
                raise EmulatorError(INTERNAL_ERROR, "secret value can not be null") from error
            if error.sqlstate.startswith(_DATA_EXCEPTION):
                # What PostgreSQL says of it has the value in it.
                raise EmulatorError(error.sqlstate, "the value of the secret cannot be computed") from error
            raise

    async def webhook(self, statement: CreateWebhook) -> None:
        """CREATE SOURCE | TABLE … FROM WEBHOOK."""
        schema = self.catalog.schema_for(statement.name, self.variables.schemas)
        cluster = (
            self.catalog.cluster(statement.cluster, self.variables.cluster) if statement.kind == "source" else None
        )
        if self.is_taken(schema, statement.name, statement.if_not_exists):
            return
        object_id, name = await self.new_id(), statement.name.last
        headers = statement.headers_column
        definition: dict[str, Any] = {
            "body_format": statement.body_format,
            "headers": {"only": headers.only, "without": headers.without} if headers else None,
            "mapped": [(one.header, one.column, one.is_bytes) for one in statement.mapped_headers],
            "check": None,
        }
        columns = storage.webhook_columns(
            statement.body_format, headers is not None, [(one.column, one.is_bytes) for one in statement.mapped_headers]
        )
        definition["not_null"] = ["body", "headers"]
        qualified = f"{quote_name(schema)}.{quote_name(name)}"
        for sql in storage.make_webhook(object_id, qualified, columns):
            await self.run(sql)
        secrets: list[str] = []
        if statement.check:
            definition["check"], secrets = await make_check(self, object_id, statement.check)
        text = normal_form.webhook_text(
            statement.kind, schema, name, definition, cluster.name if cluster else "", self.catalog
        )
        await self.record(NewObject(
            object_id, statement.kind, schema, name, text, relation=qualified,
            cluster_id=cluster.id if cluster else None, definition=definition,
        ))  # fmt: skip
        for secret in secrets:
            await self.run("INSERT INTO mz_emulator.references VALUES (%s, %s)", [object_id, secret])

    async def table(self, statement: CreateTable) -> None:
        """CREATE TABLE."""
        schema = self.catalog.schema_for(statement.name, self.variables.schemas)
        if self.is_taken(schema, statement.name, statement.if_not_exists):
            return
        object_id, name = await self.new_id(), statement.name.last
        qualified = f"{quote_name(schema)}.{quote_name(name)}"
        await self.run_text(f"CREATE TABLE {qualified} (", statement.columns, ")")
        for sql in storage.make_table(object_id, qualified):
            await self.run(sql)
        columns = (await self.run(_TABLE_COLUMNS, [qualified]))[0] or ""
        with_retention = (
            f" WITH (RETAIN HISTORY = FOR {normal_form.retention(statement.retain_ms)})"
            if statement.retain_ms is not None
            else ""
        )
        text = f"CREATE TABLE {normal_form.full_name(schema, name)} ({columns}){with_retention}"
        await self.record(
            NewObject(object_id, "table", schema, name, text, relation=qualified, retain_ms=statement.retain_ms)
        )

    async def view(self, statement: CreateView, replacing: Replacing) -> None:
        """CREATE [MATERIALIZED] VIEW."""
        schema = self.catalog.schema_for(statement.name, self.variables.schemas)
        cluster = self.catalog.cluster(statement.cluster, self.variables.cluster)
        if statement.or_replace:
            await replacing.make_room(self, schema, statement)
        elif self.is_taken(schema, statement.name, statement.if_not_exists):
            return
        object_id, name = await self.new_id(), statement.name.last
        qualified = f"{quote_name(schema)}.{quote_name(name)}"
        definition = f"mz_emulator.{quote_name(object_id + '_def')}"
        target = definition if statement.kind == MATERIALIZED_VIEW else qualified
        error: EmulatorError | None = None
        columns = f" ({storage.column_list(statement.columns)})" if statement.columns else ""
        await self.run_text(f"CREATE VIEW {target}{columns} AS ", statement.query)
        details = await check_definition(self, statement, target)
        if statement.kind == MATERIALIZED_VIEW:
            error = await self.fill(object_id, definition, statement.query)
            for sql in storage.publish_view(object_id, qualified, await self.columns_of(definition)):
                await self.run(sql)
        else:
            await self.run(f"GRANT SELECT ON {qualified} TO materialize")
        details["query"] = await normal_form.printed_query(self.connection, target, self.catalog)
        details["not_null"] = list(statement.not_null)
        if statement.replaces:
            details["replaces"] = self.catalog.get(statement.replaces, self.variables.schemas, MATERIALIZED_VIEW).id
        text = normal_form.view_text(
            statement.kind,
            schema,
            name,
            details["query"],
            cluster.name,
            normal_form.retention(statement.retain_ms),
            statement.not_null,
        )
        await self.record(NewObject(
            object_id, statement.kind, schema, name, text, relation=qualified,
            cluster_id=cluster.id if statement.kind == MATERIALIZED_VIEW else None, definition=details,
            retain_ms=statement.retain_ms,
        ))  # fmt: skip
        await self.record_references(object_id, target)
        if error:
            await self.run(storage.SET_ERROR, [error.message, error.sqlstate, error.detail, object_id])
            self.notices.append(f"the view cannot be computed: {error.message}")

    async def columns_of(self, relation: str) -> list[str]:
        """Return the names of a relation's columns."""
        cursor = await self.connection.execute(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            [relation],
        )
        return [row[0] for row in await cursor.fetchall()]

    async def fill(self, object_id: str, definition: str, query: Text) -> EmulatorError | None:
        """Make the rows of a materialized view for the first time.

        Returns:
            Why they cannot be computed: Materialize creates such a view too, and its queries fail until it can.
        """
        columns = await self.columns_of(definition)
        if not columns:
            raise not_supported("views without columns", query.position)
        for sql in storage.make_view_storage(object_id, columns):
            await self.run(sql)
        try:
            async with self.connection.transaction():
                await self.run(f"INSERT INTO mz_emulator.{quote_name(object_id)} SELECT * FROM {definition}")
        except EmulatorError as error:
            return EmulatorError(error.sqlstate, f"Evaluation error: {error.message}", error.detail)
        return None

    async def index(self, statement: CreateIndex) -> None:
        """CREATE INDEX: the backend's own index where it helps, else only its name."""
        on = self.catalog.get(statement.on, self.variables.schemas, *RELATIONS)
        cluster = self.catalog.cluster(statement.cluster, self.variables.cluster)
        default_keys = [display_name(column) for column in on.columns]
        keys = [one.sql for one in statement.keys] if statement.keys is not None else default_keys
        if statement.name is None:
            name = self._free_index_name(on, "primary_idx" if statement.keys is None else "_".join([*keys, "idx"]))
        else:
            name = statement.name.last
            if self.is_taken(on.schema_name, statement.name, statement.if_not_exists):
                return
        for key in statement.keys or ():
            await self.run_text(
                "CREATE TEMPORARY VIEW mz_check_key AS SELECT ", Text(key.sql, key.position), f" FROM {on.qualified}"
            )
            await self.run("DROP VIEW mz_check_key")
        object_id = await self.new_id()
        bare_keys = [token[0].value if len(token := tokenize(key)) == 1 else key for key in keys]
        if on.kind in (MATERIALIZED_VIEW, "table") and not on.is_webhook and keys:
            await self._backend_index(object_id, on, keys)
        await self.record(NewObject(
            object_id, "index", on.schema_name, name, normal_form.index_text(name, on, keys, cluster.name),
            on_id=on.id, cluster_id=cluster.id, definition={"keys": bare_keys}, retain_ms=statement.retain_ms,
        ))  # fmt: skip

    async def _backend_index(self, object_id: str, on: CatalogObject, keys: list[str]) -> None:
        table = on.stored_as() if on.kind == MATERIALIZED_VIEW else on.qualified
        key_list = ", ".join(f"({key})" for key in keys)
        try:
            async with self.connection.transaction():
                await self.run(f"CREATE INDEX {quote_name(object_id + '_index')} ON {table} ({key_list})")
        except EmulatorError:
            # PostgreSQL indexes no unstable expression and no long row; the queries are right without it.
            return

    def _free_index_name(self, on: CatalogObject, suffix: str) -> str:
        name = wanted = "_".join([on.name, *(part for part in [suffix] if part)]).replace('"', "")
        number = 0
        while self.catalog.find(Name((on.schema_name, name), 0), ()):
            number += 1
            name = f"{wanted}{number}"
        return name


_NULL_IN_COLUMN, _DATA_EXCEPTION = "23502", "22"
_REFERENCES = """
SELECT DISTINCT d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass
WHERE r.ev_class = %s::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
"""
_TABLE_COLUMNS = """
SELECT string_agg(quote_ident(a.attname) || ' pg_catalog.' || CASE WHEN n.nspname = 'pg_catalog' THEN t.typname || CASE
           WHEN a.atttypmod < 0 THEN '' ELSE regexp_replace(format_type(a.atttypid, a.atttypmod), '^[^(]*', '') END
           ELSE format_type(a.atttypid, a.atttypmod) END
       || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
       || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''), ', ' ORDER BY a.attnum)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""
