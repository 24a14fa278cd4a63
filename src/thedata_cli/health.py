"""What a check found: one result shape for `up`, `status`, `doctor` and the health of components."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class CheckStatus(StrEnum):
    """How bad it is; `worst()` orders them."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    FAILED = "failed"


_SEVERITY = {CheckStatus.OK: 0, CheckStatus.SKIPPED: 0, CheckStatus.WARNING: 1, CheckStatus.FAILED: 2}


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check.

    Attributes:
        name: Dotted and stable, such as `nats.jetstream` or `machine.disk`.
        status: How bad it is.
        summary: One line: what was found, with values and units.
        cause: Why it is not OK; empty when it is.
        fix: The command (or the edit) that mends it; empty when there is nothing to mend.
        facts: Machine-readable values behind the summary, units in their names.
    """

    name: str
    status: CheckStatus
    summary: str
    cause: str = ""
    fix: str = ""
    facts: dict[str, object] = field(default_factory=dict)


def worst(results: Iterable[CheckResult]) -> CheckStatus:
    """Return the most severe status; OK when there are no results.

    Example:
        >>> worst([CheckResult("a", CheckStatus.OK, ""), CheckResult("b", CheckStatus.WARNING, "")]).value
        'warning'
    """
    return max((result.status for result in results), key=_SEVERITY.__getitem__, default=CheckStatus.OK)
