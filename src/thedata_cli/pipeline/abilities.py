"""How the data plane reaches components: by key, and for what they can do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from thedata_cli.component_api.live import LiveComponent
from thedata_cli.errors import UsageError

Connect = Callable[[str], AbstractAsyncContextManager[LiveComponent]]
"""Opens a connection of its own to the component with that key.

It is called anew for every attempt, so it should look the address up each time: a restarted service may have moved.
"""

Ability = TypeVar("Ability")


def require(live: LiveComponent, key: str, ability: type[Ability]) -> Ability:
    """Return the component as one that has the ability.

    Raises:
        UsageError: It has not; the pipeline names the wrong component.
    """
    if not isinstance(live, ability):
        raise UsageError(f"component {key!r} cannot be used in a pipeline for this ({ability.__name__})")
    return live
