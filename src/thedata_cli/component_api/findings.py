"""Findings of the doctor that components word alike."""

from __future__ import annotations

from thedata_cli.health import CheckResult, CheckStatus

_SLOW_MS = 500


def latency_result(component: str, latency_ms: float, *, fix: str) -> CheckResult:
    """Judge the time of one small query.

    Args:
        component: Key of the component that answered.
        latency_ms: The time.
        fix: What shows why it is slow.
    """
    name, summary = f"{component}.latency", f"answers in {latency_ms:.1f} ms"
    facts: dict[str, object] = {"latency_ms": round(latency_ms, 1)}
    if latency_ms < _SLOW_MS:
        return CheckResult(name, CheckStatus.OK, summary, facts=facts)
    cause = "the server, or this machine, is busy"
    return CheckResult(name, CheckStatus.WARNING, summary, cause, fix, facts)
