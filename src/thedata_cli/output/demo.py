"""What the demo reached: for people, and as `thedata/demo/1`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thedata_cli.output.table import Listing, print_listing

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Counts:
    """How much of a stream, or of a view, is where.

    Attributes:
        name: Of the stream or view.
        total: Messages of the stream, rows of the view.
        rows: Engine → rows in its tables and sources that a stream feeds, or in its table that follows a view.
    """

    name: str
    total: int
    rows: Mapping[str, int]

    @property
    def agrees(self) -> bool:
        """Whether every engine has all of it."""
        return all(rows == self.total for rows in self.rows.values())


@dataclass(frozen=True)
class DemoReport:
    """A finished demo.

    Attributes:
        seconds: Phase → seconds, in order; phases do not overlap but for `load`, which counts from the first message.
        published: Messages that this run published.
        rows_per_s: Rows that reached a table, all tables together, per second of publishing and loading.
        query_rows: Named query → rows of its result.
        stays_up: Whether the stack was left running.
    """

    directory: Path
    project: str
    counts: Sequence[Counts]
    seconds: Mapping[str, float]
    published: int
    rows_per_s: float
    query_rows: Mapping[str, int] = field(default_factory=dict)
    stays_up: bool = True
    views: Sequence[Counts] = ()

    @property
    def agrees(self) -> bool:
        """Whether the counts of all streams and views agree."""
        return all(one.agrees for one in self.counts) and all(one.agrees for one in self.views)


def print_demo(console: Console, report: DemoReport) -> None:
    """Print the counts side by side, the seconds of each phase, and where to look next."""
    console.print("\nEvery message, in every engine", style="bold")
    _print_counts(console, "STREAM", "MESSAGES", report.counts)
    if report.views:
        console.print("\nEvery view, in every engine", style="bold")
        _print_counts(console, "VIEW", "ROWS", report.views)
    phases = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in report.seconds.items())
    console.print(
        f"\n{report.published:,} messages published, {report.rows_per_s:,.0f} rows/s into the tables; {phases}",
        markup=False,
        soft_wrap=True,
    )
    console.print(_next(report), style="dim", markup=False, soft_wrap=True)


def _print_counts(console: Console, what: str, unit: str, counted: Sequence[Counts]) -> None:
    engines = sorted({engine for one in counted for engine in one.rows})
    names = (what, unit, *(engine.upper() for engine in engines), "AGREE")
    rows = [
        (
            one.name,
            f"{one.total:,}",
            *(f"{one.rows[engine]:,}" if engine in one.rows else None for engine in engines),
            "yes" if one.agrees else "NO",
        )
        for one in counted
    ]
    styles = {"AGREE": {"yes": "green", "NO": "bold red"}}
    print_listing(console, Listing(names, rows, frozenset(names[1:-1]), styles))


def demo_document(report: DemoReport) -> dict[str, Any]:
    """Return the JSON form of a finished demo."""
    return {
        "schema": "thedata/demo/1",
        "directory": str(report.directory),
        "project": report.project,
        "agrees": report.agrees,
        "streams": [
            {
                "stream": counts.name,
                "messages": counts.total,
                "rows": dict(counts.rows),
            }
            for counts in report.counts
        ],
        "views": [
            {
                "view": counts.name,
                "rows": counts.total,
                "mirrored": dict(counts.rows),
            }
            for counts in report.views
        ],
        "published": report.published,
        "rows_per_s": round(report.rows_per_s),
        "seconds": {phase: round(seconds, 3) for phase, seconds in report.seconds.items()},
        "query_rows": dict(report.query_rows),
        "stays_up": report.stays_up,
    }


def _next(report: DemoReport) -> str:
    if not report.stays_up:
        return f"\nThe stack is stopped; its data stays. Next: cd {report.directory} && thedata up"
    lines = [
        f"\nThe stack runs. Next: cd {report.directory}",
        "  thedata status",
        f"  thedata stream tail {report.counts[0].name} --last 5 --no-follow" if report.counts else "",
        *(f"  thedata query --name {name}" for name in list(report.query_rows)[:1]),
        "  thedata env --format shell",
        "  thedata down",
    ]
    return "\n".join(line for line in lines if line)
