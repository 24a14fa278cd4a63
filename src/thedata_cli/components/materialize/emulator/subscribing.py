"""Opens subscriptions: finds or makes the collection, and settles from when to when."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from thedata_cli.components.materialize.emulator.catalog import SYSTEM_SCHEMAS, Catalog, CatalogObject
from thedata_cli.components.materialize.emulator.definitions import Creation, NewObject
from thedata_cli.components.materialize.emulator.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMETER,
    EmulatorError,
    not_supported,
)
from thedata_cli.components.materialize.emulator.grammar import Reader
from thedata_cli.components.materialize.emulator.maintainer import Maintainer
from thedata_cli.components.materialize.emulator.removal import drop_object
from thedata_cli.components.materialize.emulator.statements import MATERIALIZED_VIEW, CreateView, Name, Subscribe, Text
from thedata_cli.components.materialize.emulator.subscription import Subscription, check_keys
from thedata_cli.components.materialize.emulator.tokens import Source, display_name, quote_name, tokenize
from thedata_cli.components.materialize.emulator.variables import Variables
from thedata_cli.components.materialize.emulator.view_rules import check_definition

if TYPE_CHECKING:
    from psycopg import AsyncConnection

Evaluate = Callable[[str], Any]


class Subscribing:
    """What every session needs for its subscriptions."""

    def __init__(self, catalog: Catalog, maintainer: Maintainer) -> None:
        self._catalog = catalog
        self._maintainer = maintainer

    @contextlib.asynccontextmanager
    async def open(
        self, statement: Subscribe, variables: Variables, as_of: int | None, up_to: int | None
    ) -> AsyncIterator[Subscription]:
        """Open one subscription for the time of the block.

        Raises:
            EmulatorError: The object is unknown, its past is gone, or the query is refused.
        """
        found = self._find(statement, variables)
        hidden = None
        if found is None:
            if as_of is not None and as_of <= self._maintainer.frontier:
                raise not_supported("AS OF in a subscription to a view or a query; subscribe to a materialized view")
            query = statement.query or _all_of(statement.name)
            hidden = found = await self._make_hidden(query, variables)
        try:
            check_keys(statement, found)
            if as_of is None:
                as_of = await self._maintainer.catch_up() if hidden is None else found.created_ms
            self._check_time(found, as_of, up_to, statement)
            subscription = Subscription(
                statement, found, as_of, None if up_to is None else up_to - 1, statement.snapshot, statement.progress
            )
            async with self._maintainer.hold(found, as_of) as move:
                subscription.moved = move
                yield subscription
        finally:
            if hidden is not None:
                await self._drop_hidden(hidden)

    def _find(self, statement: Subscribe, variables: Variables) -> CatalogObject | None:
        name = statement.name
        if name is None and statement.query is not None:
            name = _only_relation(statement.query)
        if name is None:
            return None
        if len(name.parts) > 1 and name.parts[-2] in SYSTEM_SCHEMAS:
            raise not_supported("subscriptions to the system catalog", name.position)
        one = self._catalog.get(name, variables.schemas, "table", "source", "view", MATERIALIZED_VIEW)
        return one if one.is_collection else None

    def _check_time(self, one: CatalogObject, as_of: int, up_to: int | None, statement: Subscribe) -> None:
        oldest = self._maintainer.oldest_readable(one)
        if as_of < oldest:
            if not statement.at_least:
                message = f"Timestamp ({as_of}) is not valid for all inputs: [Antichain {{ elements: [{oldest}] }}]"
                raise EmulatorError(INTERNAL_ERROR, message)
            raise not_supported("AS OF AT LEAST a time that is no longer kept")
        if up_to is not None and up_to < as_of:
            raise EmulatorError(
                INVALID_PARAMETER, f"subscription lower bound ({as_of}) is greater than its upper bound ({up_to})"
            )

    async def _make_hidden(self, query: Text, variables: Variables) -> CatalogObject:
        async def define(connection: AsyncConnection[Any], timestamp: int) -> str:
            change = Creation(connection, self._catalog, variables, timestamp)
            object_id = await change.new_id()
            definition = f"mz_emulator.{quote_name(object_id + '_def')}"
            await change.run_text(f"CREATE VIEW {definition} AS ", query)
            statement = CreateView(
                "SUBSCRIBE", Name((object_id,), query.position), MATERIALIZED_VIEW, False, False, (), query
            )
            details = await check_definition(change, statement, definition)
            error = await change.fill(object_id, definition, query)
            if error:
                raise error
            stored = f"mz_emulator.{quote_name(object_id)}"
            hidden = NewObject(
                object_id, MATERIALIZED_VIEW, "mz_emulator", object_id, "",
                relation=stored, definition=details, is_temporary=True,
            )  # fmt: skip
            await change.record(hidden)
            await change.record_references(object_id, definition)
            return object_id

        object_id = await self._maintainer.define(define)
        return self._catalog.objects[object_id]

    async def _drop_hidden(self, hidden: CatalogObject) -> None:
        async def define(connection: AsyncConnection[Any], timestamp: int) -> None:
            if hidden.id in self._catalog.objects:
                await drop_object(Creation(connection, self._catalog, Variables(), timestamp), hidden)

        await self._maintainer.define(define)


def _all_of(name: Name | None) -> Text:
    if name is None:
        raise EmulatorError(INTERNAL_ERROR, "a subscription needs a name or a query")
    return Text(f"SELECT * FROM {'.'.join(display_name(part) for part in name.parts)}", name.position)


def _only_relation(query: Text) -> Name | None:
    """Return the relation of a query that does nothing but name it, so that its own log can be read."""
    tokens = tokenize(query.sql)
    if [token.value for token in tokens[:3]] != ["select", "*", "from"] or len(tokens) < 4:
        return None
    reader = Reader(Source(query.sql, tokens), 3)
    try:
        name = reader.name()
        reader.expect_end()
    except EmulatorError:
        return None
    return Name(name.parts, query.position + name.position)
