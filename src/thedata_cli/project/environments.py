"""Environments: thedata.yaml with an overlay laid over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from thedata_cli.errors import Problem, UsageError
from thedata_cli.project.documents import read_document
from thedata_cli.project.files import DEFAULT_ENVIRONMENT, PROJECT_FILE
from thedata_cli.project.nodes import Document, merge
from thedata_cli.project.suggestions import suggest


def environment_names(overlays: Sequence[Path]) -> list[str]:
    """Return the environments of a project; the default one needs no file."""
    return sorted({DEFAULT_ENVIRONMENT, *(file.stem for file in overlays)})


def check_environment(environment: str, overlays: Sequence[Path]) -> None:
    """Refuse an environment that the project does not have.

    Raises:
        UsageError: With the ones it has.
    """
    names = environment_names(overlays)
    if environment not in names:
        raise UsageError(
            f"the project has no environment {environment!r}",
            hint=f"{suggest(environment, names)} A new one is a file environments/{environment}.yaml",
        )


def read_project_file(
    directory: Path, environment: str, overlays: Sequence[Path], problems: list[Problem]
) -> Document | None:
    """Read thedata.yaml as one environment sees it; every value keeps its place in the file it comes from."""
    base = read_document(directory, Path(PROJECT_FILE), problems)
    overlay_file = next((file for file in overlays if file.stem == environment), None)
    overlay = read_document(directory, overlay_file, problems, may_be_empty=True) if overlay_file else None
    if base is None or overlay is None:
        return base
    return replace(base, root=merge(base.root, overlay.root))
