"""Runs one command of the embedded target in a process of its own, as `thedata` would.

Usage: `python -m tests.targets.embedded.command up|down|status PROJECT_DIR COMPONENTS_JSON`
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.targets.embedded.fake_components import fake
from tests.targets.embedded.lab import Lab
from thedata_cli.errors import TheDataError
from thedata_cli.targets.embedded.states import ServiceEvent


def tell(event: ServiceEvent) -> None:
    sys.stdout.write(f"{event.service} {event.state} {event.detail}\n")
    sys.stdout.flush()


async def run() -> None:
    verb, project_dir, components = sys.argv[1:]
    fakes = [
        fake(settings.pop("name"), *settings.pop("arguments", ()), **settings) for settings in json.loads(components)
    ]
    target = Lab(Path(project_dir)).target(*fakes)
    if verb == "up":
        await target.up(on_event=tell)
    elif verb == "down":
        await target.down(on_event=tell)


def main() -> int:
    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        return 130
    except TheDataError as error:
        sys.stderr.write(f"error: {error.message}\n hint: {error.hint}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
