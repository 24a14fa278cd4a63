"""What `doctor` found: for people, and as `thedata/doctor/1`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thedata_cli.health import CheckResult, CheckStatus, worst
from thedata_cli.output.quantities import count_text
from thedata_cli.output.table import printable

if TYPE_CHECKING:
    from rich.console import Console

_SYMBOLS = {
    CheckStatus.OK: ("✓", "green"),
    CheckStatus.SKIPPED: ("-", "dim"),
    CheckStatus.WARNING: ("!", "yellow"),
    CheckStatus.FAILED: ("✗", "bold red"),
}


@dataclass(frozen=True)
class DoctorReport:
    """Every finding.

    Attributes:
        groups: What was looked at (`machine`, `project`, `stack`) → its findings, in the order they are shown.
    """

    groups: Mapping[str, Sequence[CheckResult]]

    @property
    def results(self) -> Sequence[CheckResult]:
        """The findings of all groups."""
        return [result for group in self.groups.values() for result in group]

    @property
    def status(self) -> CheckStatus:
        """The worst of all findings."""
        return worst(self.results)


def print_doctor(console: Console, report: DoctorReport) -> None:
    """Print a line per check, cause and fix below each problem, and the verdict last."""
    from rich.text import Text

    width = max((len(result.name) for result in report.results), default=0)
    for group, results in report.groups.items():
        console.print(group.capitalize(), style="bold", markup=False)
        for result in results:
            symbol, style = _SYMBOLS[result.status]
            text = Text.assemble("  ", (symbol, style), f" {result.name:<{width}}  ", printable(result.summary))
            for line in result.cause.splitlines():
                text.append(f"\n      {printable(line)}", style)
            if result.fix:
                text.append("\n      fix: ").append(printable(result.fix), "cyan")
            console.print(text, soft_wrap=True, highlight=False)
    verdict_style = {CheckStatus.OK: "bold green", CheckStatus.WARNING: "bold yellow"}.get(report.status, "bold red")
    console.print(verdict(report), style=verdict_style, soft_wrap=True, markup=False)


def verdict(report: DoctorReport) -> str:
    """Return the one line that says how it stands.

    Example:
        >>> verdict(DoctorReport({"machine": [CheckResult("machine.disk", CheckStatus.WARNING, "2 GB free")]}))
        'Usable with 1 warning: machine.disk'
    """
    named = {
        status: [result.name for result in report.results if result.status is status]
        for status in (CheckStatus.FAILED, CheckStatus.WARNING)
    }
    failed, warnings = named[CheckStatus.FAILED], named[CheckStatus.WARNING]
    if failed:
        more = f", and {count_text(len(warnings), 'warning')}" if warnings else ""
        return f"Not healthy: {count_text(len(failed), 'problem')}: {', '.join(failed)}{more}"
    if warnings:
        return f"Usable with {count_text(len(warnings), 'warning')}: {', '.join(warnings)}"
    counts = Counter(result.status for result in report.results)
    skipped = f", {counts[CheckStatus.SKIPPED]} skipped" if counts[CheckStatus.SKIPPED] else ""
    return f"Healthy: {count_text(counts[CheckStatus.OK], 'check')} passed{skipped}"


def doctor_document(report: DoctorReport) -> dict[str, Any]:
    """Return the JSON form of the findings."""
    counts = Counter(result.status for result in report.results)
    return {
        "schema": "thedata/doctor/1",
        "status": str(report.status),
        "verdict": verdict(report),
        "summary": {str(status): counts[status] for status in CheckStatus},
        "groups": {group: [_check(result) for result in results] for group, results in report.groups.items()},
    }


def _check(result: CheckResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "status": str(result.status),
        "summary": result.summary,
        "cause": result.cause or None,
        "fix": result.fix or None,
        "facts": dict(result.facts),
    }
