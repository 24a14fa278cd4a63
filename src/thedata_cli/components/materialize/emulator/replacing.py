"""Objects that take the place of others: CREATE OR REPLACE, and APPLY REPLACEMENT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thedata_cli.components.materialize.emulator.errors import DEPENDENT_OBJECTS, WRONG_OBJECT_TYPE, EmulatorError
from thedata_cli.components.materialize.emulator.removal import drop_object
from thedata_cli.components.materialize.emulator.statements import CreateView, Name

if TYPE_CHECKING:
    from thedata_cli.components.materialize.emulator.definitions import Creation


class Replacing:
    """Makes room for an object of the same name."""

    async def make_room(self, creation: Creation, schema: str, statement: CreateView) -> None:
        """Drop the view that is to be replaced, if there is one.

        Raises:
            EmulatorError: It is an object of another kind, or others depend on it.
        """
        found = creation.catalog.find(Name((schema, statement.name.last), statement.name.position), ())
        if found is None:
            return
        if found.kind != statement.kind:
            message = f"cannot replace {found.full_name}: it is a {found.kind.replace('-', ' ')}"
            raise EmulatorError(WRONG_OBJECT_TYPE, message, position=statement.name.position)
        users = [one for one in creation.catalog.users_of(found.id) if one.kind != "index" and not one.is_temporary]
        if users:
            names = ", ".join(one.full_name for one in users)
            message = f'cannot drop {found.kind.replace("-", " ")} "{found.name}": still depended upon by {names}'
            raise EmulatorError(DEPENDENT_OBJECTS, message, position=statement.name.position)
        for one in creation.catalog.all_users_of(found.id):
            await drop_object(creation, one)
        await drop_object(creation, found)
