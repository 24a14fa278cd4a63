"""The services of a stack while a command works on them: a line each, with state and time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thedata_cli.output.console import Show
from thedata_cli.output.quantities import bytes_text
from thedata_cli.targets.embedded.states import OnEvent, ServiceEvent, ServicePhase, ServiceState

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STYLES = {
    ServicePhase.HEALTHY: ("✓", "green"),
    ServicePhase.STOPPED: ("✓", "green"),
    ServicePhase.FAILED: ("✗", "bold red"),
    ServicePhase.UNHEALTHY: ("!", "yellow"),
    ServicePhase.RESTARTING: ("!", "yellow"),
}
_FINAL = {ServicePhase.HEALTHY, ServicePhase.STOPPED, ServicePhase.FAILED}


@contextlib.contextmanager
def service_progress(show: Show) -> Iterator[OnEvent]:
    """Show events as they come: a table that is drawn anew on a terminal, a line per event elsewhere."""
    if show.is_quiet or show.is_json:
        yield lambda _event: None
    elif show.stderr.is_terminal:
        with _live_table(show) as on_event:
            yield on_event
    else:
        yield lambda event: _print_line(show, event)


def _print_line(show: Show, event: ServiceEvent) -> None:
    """Print what matters later in a log: how things end, and every detail."""
    if not event.service:
        show.note(event.detail)
    elif event.state in _FINAL or event.detail:
        show.note(f"{event.service:<12} {event.state:<10} {event.seconds:5.1f} s  {event.detail}".rstrip())


@contextlib.contextmanager
def _live_table(show: Show) -> Iterator[OnEvent]:
    from rich.live import Live

    latest: dict[str, ServiceEvent] = {}
    details: dict[str, list[str]] = {}
    with Live(console=show.stderr, get_renderable=lambda: _table(latest, details), refresh_per_second=10) as live:

        def on_event(event: ServiceEvent) -> None:
            if not event.service:
                live.console.print(event.detail, markup=False)
                return
            latest[event.service] = event
            if event.detail and event.detail not in details.setdefault(event.service, []):
                details[event.service].append(event.detail)

        yield on_event
        live.refresh()


def _table(latest: dict[str, ServiceEvent], details: dict[str, list[str]]) -> Table:
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for service, event in latest.items():
        mark, style = _STYLES.get(event.state, ("", "cyan"))
        table.add_row(
            Text(mark, style=style) if mark else Spinner("dots", style=style),
            Text(service, style="bold"),
            Text(event.state, style=style),
            Text(f"{event.seconds:.1f} s", style="dim"),
            Text("; ".join(details.get(service, [])), style="dim", overflow="fold"),
        )
    return table


@dataclass(frozen=True)
class DownReport:
    """What `down` left, and the bytes of data that it deleted by service; None when the data stays."""

    states: Sequence[ServiceState]
    deleted: Mapping[str, int] | None


def print_down(console: Console, report: DownReport) -> None:
    """Print what still runs after `down`, which should be nothing, and what became of the data."""
    running = [state.service for state in report.states if state.pid is not None]
    if running:
        console.print(f"Still running: {', '.join(running)}", style="bold red", markup=False)
    elif report.deleted is None:
        console.print("Nothing runs. The data stays; `thedata up` goes on with it.", markup=False)
    else:
        sizes = ", ".join(f"{name} {bytes_text(size)}" for name, size in report.deleted.items()) or "there was none"
        console.print(f"Nothing runs. The data is deleted: {sizes}.", markup=False)


def down_document(report: DownReport) -> dict[str, Any]:
    """Return the JSON form of what `down` left."""
    return {
        "schema": "thedata/down/1",
        "services": [{"name": state.service, "state": str(state.state), "pid": state.pid} for state in report.states],
        "deleted_bytes": None if report.deleted is None else dict(report.deleted),
    }
