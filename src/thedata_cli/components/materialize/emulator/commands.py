"""Runs the statements that change definitions, each in a tick of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from thedata_cli.components.materialize.emulator import alterations, removal
from thedata_cli.components.materialize.emulator import statements as st
from thedata_cli.components.materialize.emulator.catalog import Catalog
from thedata_cli.components.materialize.emulator.definitions import Creation
from thedata_cli.components.materialize.emulator.maintainer import Maintainer
from thedata_cli.components.materialize.emulator.replacing import Replacing
from thedata_cli.components.materialize.emulator.variables import Variables

if TYPE_CHECKING:
    from psycopg import AsyncConnection


async def _nothing(_change: Creation, _statement: Any) -> None:
    return


_COMMANDS: dict[type[st.Statement], Callable[[Creation, Any], Awaitable[None]]] = {
    st.CreateSchema: Creation.schema,
    st.CreateCluster: Creation.cluster,
    st.CreateSecret: Creation.secret,
    st.CreateWebhook: Creation.webhook,
    st.CreateTable: Creation.table,
    st.CreateView: lambda change, statement: change.view(statement, Replacing()),
    st.CreateIndex: Creation.index,
    st.Drop: removal.drop,
    st.Rename: alterations.rename,
    st.Swap: alterations.swap,
    st.AlterCluster: alterations.alter_cluster,
    st.AlterSecret: alterations.alter_secret,
    st.SetRetention: alterations.set_retention,
    st.ApplyReplacement: alterations.apply_replacement,
    st.Comment: alterations.comment,
    st.Accepted: _nothing,
}


class Commands:
    """Changes of definitions."""

    def __init__(self, catalog: Catalog, maintainer: Maintainer) -> None:
        self._catalog = catalog
        self._maintainer = maintainer

    @staticmethod
    def knows(statement: st.Statement | None) -> bool:
        """Whether the statement changes definitions."""
        return type(statement) in _COMMANDS

    async def run(self, statement: st.Statement, variables: Variables) -> list[str]:
        """Run one statement and return the notices for the client.

        Raises:
            EmulatorError: It was refused, and nothing is changed.
        """

        async def define(connection: AsyncConnection[Any], timestamp: int) -> Creation:
            change = Creation(connection, self._catalog, variables, timestamp)
            await _COMMANDS[type(statement)](change, statement)
            # Before another tick can follow changes by what was so far.
            self._maintainer.recompute(change.recompute)
            if change.renames:
                self._maintainer.forget_plans()
            return change

        return (await self._maintainer.define(define)).notices
