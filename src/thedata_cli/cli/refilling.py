"""What `up` and `apply` do after they have made a source anew: show how it is filled again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from thedata_cli.component_api.live import CanTail
from thedata_cli.output.console import Show
from thedata_cli.project.registry import WORKER
from thedata_cli.stack.lag import lag_of
from thedata_cli.stack.live_stack import ApplyReport, connect
from thedata_cli.stack.refill import refilled_routes

if TYPE_CHECKING:
    from thedata_cli.project.model import Project
    from thedata_cli.targets.embedded.runtime import EmbeddedTarget

_POLL_S = 0.2
_STALL_LIMIT_S = 30.0
"""How long nothing may move before the command leaves the rest to the worker."""


async def show_refill(show: Show, project: Project, target: EmbeddedTarget, report: ApplyReport) -> None:
    """Wait until the sources that were made anew have all messages of their streams, and show how far they are.

    The worker fills them, whether anybody watches or not.
    """
    routes = refilled_routes(project.routes, report)
    if not routes or not await target.is_running(WORKER):
        return
    async with connect(project.name, project.components, target.endpoints(), only=[routes[0].stream.component]) as live:
        broker = live.with_ability(CanTail)
        pending = total = lag_of(routes, await broker.streams()).total
        if not total:
            return
        moved_at = time.monotonic()
        with show.progress("refill", total=total) as advance:
            while pending and time.monotonic() - moved_at < _STALL_LIMIT_S:
                await asyncio.sleep(_POLL_S)
                before, pending = pending, lag_of(routes, await broker.streams()).total
                if pending != before:
                    moved_at = time.monotonic()
                advance(max(0, total - pending))
    if pending:
        show.warning(
            f"{pending:,} messages are still to be filled into sources; `thedata doctor` says what holds them up"
        )
