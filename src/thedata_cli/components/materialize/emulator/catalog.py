"""The objects of the instance, as read back from the backend after each change of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thedata_cli.components.materialize.emulator.errors import (
    UNDEFINED_OBJECT,
    WRONG_OBJECT_TYPE,
    EmulatorError,
    not_supported,
)
from thedata_cli.components.materialize.emulator.postgres import DATABASE
from thedata_cli.components.materialize.emulator.statements import MATERIALIZED_VIEW, Name
from thedata_cli.components.materialize.emulator.tokens import quote_name

if TYPE_CHECKING:
    from psycopg import AsyncConnection

SYSTEM_SCHEMAS = frozenset(
    {"mz_catalog", "mz_internal", "mz_introspection", "mz_unsafe", "pg_catalog", "information_schema"}
)
DEFAULT_RETAIN_MS = 1000
RELATIONS = ("table", "source", "view", MATERIALIZED_VIEW)


@dataclass(frozen=True)
class CatalogObject:
    """One object.

    Attributes:
        id: `u` and a number, as in `mz_objects`.
        kind: The word that `mz_objects.type` has for it.
        relation: The backend's relation that clients read; None for indexes and secrets.
        columns: Names of the columns of that relation.
        references: Ids of the objects that it reads.
        error: Why it cannot be computed at present; `error_code` is its SQLSTATE, `error_detail` the row at fault.
    """

    id: str
    kind: str
    schema_name: str
    name: str
    cluster_id: str | None
    relation: int | None
    on_id: str | None
    definition: dict[str, Any]
    create_sql: str
    retain_ms: int | None
    created_ms: int
    error: str | None
    error_code: str | None
    error_detail: str | None
    is_temporary: bool
    columns: tuple[str, ...] = ()
    references: tuple[str, ...] = field(default=())

    @property
    def qualified(self) -> str:
        """Its name in SQL."""
        return f"{quote_name(self.schema_name)}.{quote_name(self.name)}"

    @property
    def full_name(self) -> str:
        """Its name in messages."""
        return f"{DATABASE}.{self.schema_name}.{self.name}"

    @property
    def is_webhook(self) -> bool:
        """Whether rows come by HTTP: then nothing in it is ever changed or removed."""
        return "body_format" in self.definition

    @property
    def is_collection(self) -> bool:
        """Whether it has rows of its own."""
        return self.kind in ("table", "source", MATERIALIZED_VIEW)

    def stored_as(self, suffix: str = "") -> str:
        """The name in SQL of what the backend keeps for it."""
        return f"mz_emulator.{quote_name(self.id + suffix)}"

    @property
    def retention_ms(self) -> int:
        """For how long its past can be asked for."""
        return max(self.retain_ms or 0, DEFAULT_RETAIN_MS)


@dataclass(frozen=True)
class Cluster:
    """One cluster; nothing runs in it, but its name and size are kept."""

    id: str
    name: str
    size: str | None
    replication_factor: int


class Catalog:
    """All objects, by id and by name."""

    def __init__(self) -> None:
        self.objects: dict[str, CatalogObject] = {}
        self.clusters: dict[str, Cluster] = {}
        self.schemas: set[str] = set()
        self._names: dict[tuple[str, str], CatalogObject] = {}

    async def load(self, connection: AsyncConnection[Any]) -> None:
        """Read everything again."""
        objects = {}
        for row in await (await connection.execute(_OBJECTS)).fetchall():
            fields = dict(zip(_OBJECT_FIELDS, row, strict=True))
            fields["columns"], fields["references"] = tuple(fields["columns"] or ()), tuple(fields["references"] or ())
            objects[row[0]] = CatalogObject(**fields)
        rows = await (
            await connection.execute("SELECT id, name, size, replication_factor FROM mz_emulator.clusters")
        ).fetchall()
        schemas = await (await connection.execute("SELECT name FROM mz_emulator.schemas")).fetchall()
        self.objects = objects
        self.clusters = {row[1]: Cluster(*row) for row in rows}
        self.schemas = {row[0] for row in schemas}
        self._names = {(one.schema_name, one.name): one for one in objects.values() if not one.is_temporary}

    def schema_for(self, name: Name, search_path: Sequence[str]) -> str:
        """Return the schema in which a new object of this name goes.

        Raises:
            EmulatorError: There is no such database or schema, or it is the system's.
        """
        self._check_database(name)
        schema = (
            name.parts[-2]
            if len(name.parts) > 1
            else next((one for one in search_path if one in self.schemas), "public")
        )
        if schema not in self.schemas:
            raise EmulatorError("3F000", f"unknown schema '{schema}'", position=name.position)
        if schema in SYSTEM_SCHEMAS:
            raise EmulatorError("42501", f"system schema '{schema}' cannot be modified", position=name.position)
        return schema

    def _check_database(self, name: Name) -> None:
        if len(name.parts) == 3 and name.parts[0] != DATABASE:
            raise not_supported(f"databases other than {DATABASE}: {name.parts[0]}", name.position)

    def find(self, name: Name, search_path: Sequence[str]) -> CatalogObject | None:
        """Return the object of this name, if there is one."""
        self._check_database(name)
        schemas = [name.parts[-2]] if len(name.parts) > 1 else list(search_path)
        return next((self._names[schema, name.last] for schema in schemas if (schema, name.last) in self._names), None)

    def get(self, name: Name, search_path: Sequence[str], *kinds: str) -> CatalogObject:
        """Return the object of this name.

        Raises:
            EmulatorError: There is none, or it is of another kind.
        """
        found = self.find(name, search_path)
        if found is None:
            raise EmulatorError(
                UNDEFINED_OBJECT, f"unknown catalog item '{'.'.join(name.parts)}'", position=name.position
            )
        if kinds and found.kind not in kinds:
            article = "an" if kinds[0][0] in "aeiou" else "a"
            message = f"{found.full_name} is not {article} {kinds[0].replace('-', ' ')}"
            hint = f"it is a {found.kind.replace('-', ' ')}"
            raise EmulatorError(WRONG_OBJECT_TYPE, message, hint=hint, position=name.position)
        return found

    def webhook(self, schema: str, name: str) -> CatalogObject | None:
        """Return the webhook source or table of this name."""
        found = self._names.get((schema, name))
        return found if found is not None and found.is_webhook else None

    def cluster(self, name: Name | None, default: str) -> Cluster:
        """Return a cluster by its name.

        Raises:
            EmulatorError: There is none.
        """
        wanted = name.last if name else default
        if wanted not in self.clusters:
            raise EmulatorError(
                UNDEFINED_OBJECT, f"unknown cluster '{wanted}'", position=name.position if name else None
            )
        return self.clusters[wanted]

    def cluster_name(self, cluster_id: str | None) -> str:
        """Return the name of a cluster."""
        return next((one.name for one in self.clusters.values() if one.id == cluster_id), "")

    def users_of(self, object_id: str) -> Iterator[CatalogObject]:
        """Yield what reads or indexes an object directly."""
        for one in self.objects.values():
            if object_id in one.references or one.on_id == object_id:
                yield one

    def all_users_of(self, object_id: str) -> list[CatalogObject]:
        """Return what would go with an object, nearest first."""
        found: dict[str, CatalogObject] = {}
        waiting = [object_id]
        while waiting:
            for one in self.users_of(waiting.pop(0)):
                if one.id not in found:
                    found[one.id] = one
                    waiting.append(one.id)
        return list(found.values())

    def collections_below(self, object_id: str) -> set[str]:
        """Return the ids of the collections that an object reads, through all views between."""
        found: set[str] = set()
        for reference in self.objects[object_id].references:
            one = self.objects.get(reference)
            if one is not None:
                found |= {one.id} if one.is_collection else self.collections_below(one.id)
        return found

    def materialized_views(self) -> list[CatalogObject]:
        """Return the materialized views, each after those that it reads."""
        ordered: dict[str, CatalogObject] = {}

        def visit(one: CatalogObject) -> None:
            if one.id in ordered:
                return
            for reference in self.collections_below(one.id):
                if self.objects[reference].kind == MATERIALIZED_VIEW:
                    visit(self.objects[reference])
            ordered[one.id] = one

        for one in self.objects.values():
            if one.kind == MATERIALIZED_VIEW:
                visit(one)
        return list(ordered.values())


_OBJECT_FIELDS = [one.name for one in dataclasses.fields(CatalogObject)]
_OBJECTS = """
SELECT o.id, o.kind, o.schema_name, o.name, o.cluster_id, o.relation, o.on_id, o.definition, o.create_sql,
       o.retain_ms, o.created_ms, o.error, o.error_code, o.error_detail, o.is_temporary,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
         WHERE a.attrelid = o.relation AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT array_agg(r.on_id) FROM mz_emulator.references r WHERE r.id = o.id)
FROM mz_emulator.objects o ORDER BY length(o.id), o.id
"""
