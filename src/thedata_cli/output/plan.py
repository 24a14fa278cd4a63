"""A plan, and what became of it: for people, and as `thedata/plan/1` and `thedata/apply/1`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from thedata_cli.errors import SourcePosition
from thedata_cli.output.console import error_document
from thedata_cli.output.table import printable
from thedata_cli.plan.changes import Action, Change, Conflict, Plan, Step
from thedata_cli.stack.live_stack import AppliedChange, ApplyReport, ChangeState

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_SYMBOLS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.REPLACE: ("±", "magenta"),
    Action.DELETE: ("-", "red"),
}
_DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
}


def print_plan(console: Console, plan: Plan) -> None:
    """Print a block per change: why, what differs, every statement as it will be sent, and what data is lost."""
    if plan.is_empty:
        console.print("No changes: the stack is as the project declares it.")
        return
    for conflict in plan.conflicts:
        _print(console, _conflict_text(conflict))
    for change in plan.changes:
        _print(console, _change_text(change))
    counts = Counter(change.action for change in plan.changes)
    console.print("Plan: " + ", ".join(f"{counts[action]} to {action}" for action in Action), style="bold")


def print_change(console: Console, applied: AppliedChange) -> None:
    """Print a line about a change that has just been done, or has failed."""
    from rich.text import Text

    change = applied.change
    if applied.state is ChangeState.DONE:
        _print(console, Text.assemble(("✓", "green"), f" {_DONE[change.action]} ", (str(change.id), "bold")))
    else:
        _print(console, Text.assemble(("✗", "bold red"), f" {change.action} ", (str(change.id), "bold"), " failed"))


def print_apply(console: Console, report: ApplyReport) -> None:
    """Print how an apply ended, with what it did not get to."""
    if not report.changes:
        console.print("Nothing to do: the stack is as the project declares it.")
        return
    if report.failure:
        _print(console, _failure_text(report.failure))
    for applied in report.changes:
        if applied.state is ChangeState.NOT_TRIED:
            _print(console, _not_tried_text(applied.change))
    counts = Counter(applied.state for applied in report.changes)
    console.print(
        f"Applied: {counts[ChangeState.DONE]} done, {counts[ChangeState.FAILED]} failed, "
        f"{counts[ChangeState.NOT_TRIED]} not tried",
        style="bold red" if report.failure else "bold green",
    )


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return the JSON form of a plan, complete with its steps."""
    counts = Counter(change.action for change in plan.changes)
    return {
        "schema": "thedata/plan/1",
        "is_empty": plan.is_empty,
        "summary": {str(action): counts[action] for action in Action},
        "changes": [_change_document(change) for change in plan.changes],
        "conflicts": [
            {
                "resource": str(conflict.id),
                "owner": conflict.owner or None,
                "position": _position_document(conflict.position),
            }
            for conflict in plan.conflicts
        ],
    }


def apply_document(report: ApplyReport) -> dict[str, Any]:
    """Return the JSON form of what an apply did."""
    counts = Counter(applied.state for applied in report.changes)
    return {
        "schema": "thedata/apply/1",
        "is_complete": report.failure is None,
        "summary": {str(state): counts[state] for state in ChangeState},
        "changes": [
            {
                **_change_document(applied.change),
                "state": str(applied.state),
                "error": error_document(applied.error)["error"] if applied.error else None,
            }
            for applied in report.changes
        ],
    }


def _change_document(change: Change) -> dict[str, Any]:
    return {
        "action": str(change.action),
        "resource": str(change.id),
        "cause": change.cause,
        "loses": change.loses or None,
        "position": _position_document(change.position),
        "differences": [
            {"path": difference.path, "before": difference.before, "after": difference.after}
            for difference in change.differences
        ],
        "steps": [{"call": step.call, "body": step.body or None} for step in change.steps],
    }


def _position_document(position: SourcePosition | None) -> dict[str, Any] | None:
    if position is None:
        return None
    return {"file": str(position.file), "line": position.line, "column": position.column}


def _change_text(change: Change) -> Text:
    from rich.text import Text

    symbol, style = _SYMBOLS[change.action]
    text = Text.assemble((symbol, f"bold {style}"), " ", (str(change.id), f"bold {style}"), f": {change.cause}")
    if change.position:
        text.append(f"\n    {change.position}", "dim")
    if change.loses:
        text.append(f"\n    loses {change.loses}", "bold red")
    for difference in change.differences:
        before, after = _value_text(difference.before), _value_text(difference.after)
        text.append(f"\n    {difference.path}: ").append(before, "red").append(" → ").append(after, "green")
    for step in change.steps:
        text.append(_step_text(step), "cyan")
    return text.append("\n")


def _step_text(step: Step) -> str:
    """Indent a step; the lines are those of the statement, nothing is cut."""
    lines = [*step.call.splitlines(), *step.body.splitlines()]
    return "".join(f"\n    {printable(line.expandtabs(4))}" for line in lines)


def _conflict_text(conflict: Conflict) -> Text:
    from rich.text import Text

    text = Text.assemble(("!", "bold red"), " ", (str(conflict), "bold red"))
    if conflict.position:
        text.append(f"\n    {conflict.position}", "dim")
    return text.append(f"\n    take it over with --adopt {conflict.id}, or rename yours\n")


def _failure_text(applied: AppliedChange) -> Text:
    from rich.text import Text

    error = applied.error
    text = Text.assemble(("✗", "bold red"), f" {applied.change.action} ", (str(applied.change.id), "bold"))
    if error:
        text.append(f": {printable(error.message)}")
        if applied.change.position:
            text.append(f"\n    {applied.change.position}", "dim")
        for line in error.detail.splitlines():
            text.append(f"\n    {printable(line)}", "dim")
        if error.hint:
            text.append(f"\n    hint: {error.hint}", "cyan")
    return text


def _not_tried_text(change: Change) -> Text:
    from rich.text import Text

    return Text(f"- not tried: {change.action} {change.id}", "dim")


def _value_text(value: object) -> str:
    from thedata_cli.output.values import text

    return "nothing" if value is None else printable(text(value))


def _print(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True, highlight=False)
