"""The worker as a component: how its process is started. What the process does is in `thedata_cli.pipeline`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import ClassVar

from pydantic import field_validator

from thedata_cli import __version__
from thedata_cli.component_api.component import Component
from thedata_cli.component_api.embedded import EmbeddedProcess, HttpProbe, Installation, Placement, Progress


class WorkerComponent(Component):
    """Runs the pipelines: reads streams, checks messages against their contract, writes tables.

    It is in every stack whose project has pipelines. It starts beside the other services, not after them, because it
    waits by itself for whatever is not there yet.
    """

    key: ClassVar[str] = "worker"
    summary: ClassVar[str] = "runs the pipelines"
    default_version: ClassVar[str] = __version__
    ports: ClassVar[Mapping[str, int]] = {"health": 8230}

    @field_validator("version")
    @classmethod
    def _is_our_own(cls, version: str | None) -> str | None:
        if version not in (None, __version__):
            raise ValueError(f"the worker is part of thedata {__version__}; install that version of thedata instead")
        return version

    def install(self, placement: Placement, progress: Progress) -> Installation:  # noqa: ARG002
        """Return this very installation of thedata."""
        return Installation(__version__)

    def embedded_process(self, placement: Placement, installation: Installation) -> EmbeddedProcess:  # noqa: ARG002
        """Return `thedata serve worker` in the same Python that runs this."""
        environment = ("--environment", placement.environment) if placement.environment else ()
        return EmbeddedProcess(
            command=(
                sys.executable, "-m", "thedata_cli", "serve", "worker",
                "--project", str(placement.project_dir), *environment,
                "--host", placement.host, "--port", str(placement.ports["health"]),
            ),
            probe=HttpProbe("health", "/healthz"),
            environment={"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
