"""Sources that were made anew, and are filled again from their streams."""

from __future__ import annotations

from collections.abc import Sequence

from thedata_cli.component_api.routes import Route
from thedata_cli.plan.changes import Action
from thedata_cli.stack.live_stack import ApplyReport, ChangeState


def refilled_routes(routes: Sequence[Route], report: ApplyReport) -> Sequence[Route]:
    """Return the routes into what `apply` has created or replaced and that keeps no rows of its own: sources."""
    renewed = {
        applied.change.id
        for applied in report.changes
        if applied.state is ChangeState.DONE and applied.change.action in (Action.CREATE, Action.REPLACE)
    }
    return [route for route in routes if route.target.kind == "source" and route.target in renewed]
