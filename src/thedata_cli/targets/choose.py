"""Which target runs a project."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from thedata_cli.project.model import Project
from thedata_cli.project.registry import WORKER
from thedata_cli.project.secrets import ensure_secrets
from thedata_cli.stack.fingerprint import fingerprint_of
from thedata_cli.targets.embedded.runtime import EmbeddedTarget


def choose_target(project: Project) -> EmbeddedTarget:
    """Return the target of the project: processes on this machine, the only one so far.

    Secrets that are missing (a fresh checkout has none) are made.

    Raises:
        TheDataError: The project's directory cannot be written to.
    """
    needed = project.secrets
    return EmbeddedTarget(
        project_dir=project.directory,
        project=project.name,
        components=project.components,
        secrets=ensure_secrets(project.directory, chain.from_iterable(needed.values())),
        secret_names={key: [spec.name for spec in specs] for key, specs in needed.items()},
        environment=project.environment,
        revisions={WORKER: fingerprint_of([*project.routes, *project.view_routes])},
    )


def target_of_directory(directory: Path) -> EmbeddedTarget:
    """Return the target that runs whatever was started from a project directory, without reading its files."""
    return EmbeddedTarget(directory, directory.name, components={}, secrets={})
