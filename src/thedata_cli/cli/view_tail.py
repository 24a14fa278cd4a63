"""`stream tail --view`: which view is meant, and its changes as they come."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence

from thedata_cli.component_api.views import CanSubscribe, Subscription
from thedata_cli.errors import UsageError
from thedata_cli.output.console import Show
from thedata_cli.output.rows import unique_names
from thedata_cli.output.view_changes import ChangeLines, FollowedView, PrettyChanges
from thedata_cli.plan.resources import ResourceId
from thedata_cli.project.model import Project
from thedata_cli.project.references import FOLLOWED, VIEWS
from thedata_cli.project.suggestions import either, suggest


@dataclasses.dataclass(frozen=True)
class ViewTail:
    """What of a view's changes is wanted.

    Attributes:
        key: Columns that identify a row; empty for row by row.
        has_snapshot: Whether it begins with the view as it is.
        limit: Changes after which it ends; None for no end.
        is_finite: Whether it ends after the view as it is.
    """

    key: Sequence[str] = ()
    has_snapshot: bool = False
    limit: int | None = None
    is_finite: bool = False


async def tail_view(show: Show, project: Project, view: ResourceId, wanted: ViewTail) -> None:
    """Print the changes of a view, in order of time.

    Raises:
        ServiceUnreachableError: The server does not answer, or the connection is lost.
        StatementRejectedError: The view has not been applied, cannot be computed, or lacks a column of the key.
    """
    from thedata_cli.cli.closed_pipe import ended_by_closed_pipe
    from thedata_cli.stack.live_stack import connect
    from thedata_cli.targets.choose import choose_target

    endpoints = choose_target(project).endpoints()
    has_snapshot = wanted.has_snapshot or wanted.is_finite
    async with connect(project.name, project.components, endpoints, only=[view.component]) as live:
        server = live.with_ability(CanSubscribe, key=view.component)
        async with server.subscribe(view.name, key=wanted.key, has_snapshot=has_snapshot) as subscription:
            followed = FollowedView(view.name, unique_names(subscription.columns), wanted.key)
            printer = ChangeLines(sys.stdout.buffer, followed) if show.is_json else PrettyChanges(show.stdout, followed)
            # Inside of the subscription: what closes it must not be stopped by a pipe that is closed too.
            with ended_by_closed_pipe():
                await _print_all(subscription, printer, wanted)


async def _print_all(subscription: Subscription, printer: ChangeLines | PrettyChanges, wanted: ViewTail) -> None:
    count = 0
    async for changes in subscription.changes():
        shown = changes.changes if wanted.limit is None else changes.changes[: wanted.limit - count]
        printer.print(dataclasses.replace(changes, changes=shown))
        count += len(shown)
        if wanted.is_finite or count == wanted.limit:
            return


def find_view(project: Project, written: str) -> ResourceId:
    """Return the view that is called by its name, or by component/name.

    Raises:
        UsageError: There is none, or more than one.
    """
    component, _, name = written.rpartition("/")
    declared = list(_declared_in_views(project))
    named = [one for one in declared if one.name == name and component in ("", one.component)]
    views = [one for one in named if one.kind in FOLLOWED]
    if len(views) > 1:
        hint = f"write {either([f'{one.component}/{one.name}' for one in views])}"
        raise UsageError(f"more than one component has a view {name!r}", hint=hint)
    if views:
        return views[0]
    if named:
        kind = named[0].kind.replace("_", " ")
        raise UsageError(f"{written} is no view: a {kind} has no rows that change", hint="name a view")
    known = [one.name for one in declared if one.kind in FOLLOWED]
    hint = f"{suggest(name, known)} A new one is a file {VIEWS}/{name}.sql; `thedata apply` creates it"
    raise UsageError(f"the project has no view {written!r}", hint=hint)


def read_key(written: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a key that was written as `a,b`, or in parts.

    Raises:
        UsageError: One is empty, or named twice.

    Example:
        >>> read_key(["carrier, origin", "hour"])
        ('carrier', 'origin', 'hour')
    """
    columns = [column.strip() for part in written for column in part.split(",")]
    if "" in columns:
        raise UsageError(f"--key {','.join(written)} names an empty column", hint="write it as `--key a,b`")
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice:
        raise UsageError(f"--key names {twice} twice", hint="leave it out once")
    return tuple(columns)


def _declared_in_views(project: Project) -> Iterator[ResourceId]:
    for component, declarations in project.declared.items():
        for declared in declarations:
            if declared.source.file.parts[0] == VIEWS:
                yield ResourceId(component, declared.model.kind, declared.model.name)
