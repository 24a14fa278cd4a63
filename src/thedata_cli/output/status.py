"""The services of a stack at one moment: for people, and as `thedata/status/1`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thedata_cli.output.quantities import duration_text
from thedata_cli.output.table import Listing, print_listing, printable
from thedata_cli.targets.status import ServiceStatus, StackStatus

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"healthy": "green", "unhealthy": "yellow", "restarting": "yellow", "stopped": "dim", "failed": "bold red"}


def print_status(console: Console, status: StackStatus) -> None:
    """Print a line per service, and below the lines why a service is not healthy."""
    console.print(f"{status.project} on {status.target}", style="bold", markup=False, soft_wrap=True)
    if not status.services:
        console.print("There are no services.")
        return
    rows = [
        (
            service.name,
            service.state,
            _version(service),
            ", ".join(f"{name} {port}" for name, port in service.ports.items()) or None,
            service.url or None,
            None if service.uptime_s is None else duration_text(service.uptime_s),
            str(service.restarts),
            None if service.lag is None else str(service.lag),
        )
        for service in status.services
    ]
    names = ("SERVICE", "STATE", "VERSION", "PORTS", "URL", "UPTIME", "RESTARTS", "LAG")
    listing = Listing(names, rows, frozenset({"UPTIME", "RESTARTS", "LAG"}), {"STATE": _STYLES})
    print_listing(console, listing)
    for service in status.services:
        if service.detail:
            console.print(f"{service.name}: {printable(service.detail)}", markup=False, soft_wrap=True)


def status_document(status: StackStatus) -> dict[str, Any]:
    """Return the JSON form of the services."""
    return {
        "schema": "thedata/status/1",
        "project": status.project,
        "target": status.target,
        "services": [
            {
                "name": service.name,
                "state": service.state,
                "version_wanted": service.version_wanted or None,
                "version_running": service.version_running or None,
                "ports": dict(service.ports),
                "url": service.url or None,
                "uptime_s": service.uptime_s,
                "restarts": service.restarts,
                "lag": service.lag,
                "detail": service.detail or None,
            }
            for service in status.services
        ],
    }


def _version(service: ServiceStatus) -> str | None:
    running, wanted = service.version_running, service.version_wanted
    if running and wanted and running != wanted:
        return f"{running} (wanted {wanted})"
    return running or (f"({wanted})" if wanted else None)
