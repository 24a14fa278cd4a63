"""`serve`: the processes of the stack that are thedata itself."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thedata_cli.cli.app import app
from thedata_cli.cli.options import EnvironmentName, ProjectDir
from thedata_cli.cli.run_command import run_command

if TYPE_CHECKING:
    from thedata_cli.component_api.live import LiveComponent

serve_app = typer.Typer(
    help="Run a process of the stack in the foreground.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(serve_app, name="serve")


@serve_app.command()
@run_command
async def worker(
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    host: Annotated[str, typer.Option(help="Address of the health port.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Health and metrics; 0 takes a free one.")] = 8230,
) -> None:
    """Run the project's pipelines until SIGTERM or Ctrl-C: from streams to tables and sources, from views to tables.

    Example: thedata serve worker --port 0
    """
    import logging
    import sys

    from thedata_cli.pipeline.worker import run_worker
    from thedata_cli.project.load import open_project
    from thedata_cli.targets.choose import choose_target

    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    loaded = open_project(project, environment)

    def connect(key: str) -> AbstractAsyncContextManager[LiveComponent]:
        # Read anew for each connection: passwords and ports may have changed since the worker was started.
        endpoints = choose_target(loaded).endpoints()
        connection = loaded.components[key].connect(endpoints[key], loaded.name)
        if connection is None:
            raise TypeError(f"component {key!r} has nothing to connect to")
        return connection

    await run_worker(loaded.routes, loaded.view_routes, connect, host=host, port=port)
