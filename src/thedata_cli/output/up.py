"""What `up` reached: the services, and what was applied. For people, and as `thedata/up/1`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thedata_cli.output.plan import apply_document, print_apply
from thedata_cli.output.status import print_status, status_document
from thedata_cli.stack.live_stack import ApplyReport
from thedata_cli.targets.status import StackStatus

if TYPE_CHECKING:
    from rich.console import Console

_NEXT = """\
Next: thedata status             every service, with ports and lag
      thedata env                addresses and credentials for any other client
      thedata stream ls          what the streams hold
      thedata down               stop it; the data stays"""


@dataclass(frozen=True)
class UpReport:
    """The stack after `up`; `applied` is None when it only booted."""

    status: StackStatus
    applied: ApplyReport | None


def print_up(console: Console, report: UpReport) -> None:
    """Print the services, what was applied, and where to go from here."""
    print_status(console, report.status)
    if report.applied:
        print_apply(console, report.applied)
    if not (report.applied and report.applied.failure):
        console.print(_NEXT, style="dim", markup=False)


def up_document(report: UpReport) -> dict[str, Any]:
    """Return the JSON form: the documents of `status` and `apply` in one."""
    return {
        "schema": "thedata/up/1",
        "status": status_document(report.status),
        "apply": apply_document(report.applied) if report.applied else None,
    }
