"""What `stream pub` did: for people, and as `thedata/pub/1`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thedata_cli.output.quantities import count_text, duration_text

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class PublishReport:
    """How many messages went where.

    Attributes:
        published: New in the stream.
        duplicates: Already in the stream, by their message id.
        skipped: Broke the contract, and the user wanted to go on.
        seconds: From the first line read to the last acknowledgement.
    """

    published: int
    duplicates: int
    skipped: int
    seconds: float


def print_publish(console: Console, report: PublishReport) -> None:
    """Print one line."""
    parts = [f"published {count_text(report.published, 'message')} in {duration_text(report.seconds)}"]
    if report.duplicates:
        parts.append(f"{report.duplicates} were there already")
    if report.skipped:
        parts.append(f"{report.skipped} broke the contract and were skipped")
    console.print("; ".join(parts), markup=False, soft_wrap=True)


def publish_document(report: PublishReport) -> dict[str, Any]:
    """Return the JSON form."""
    return {
        "schema": "thedata/pub/1",
        "published": report.published,
        "duplicates": report.duplicates,
        "skipped": report.skipped,
        "seconds": round(report.seconds, 3),
    }
