"""Where a project is, which files it has, and which of them look as if they were meant to be read but are not."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path

from thedata_cli.errors import Problem, SourcePosition, UsageError

PROJECT_FILE = "thedata.yaml"
DEFAULT_ENVIRONMENT = "dev"
"""Needs no file in environments/."""

SUFFIXES = {"contracts": (".yaml", ".json"), "queries": (".sql",)}
"""Endings that are read, by directory; everywhere else it is `.yaml`."""

OWN_DIRECTORIES = ("contracts", "pipelines", "queries", "environments")
"""Read by the project itself; components read further ones."""

_NEAR_SUFFIXES = {".yml": ".yaml", ".yaml": ".yaml", ".json": ".yaml", ".sql": ".sql"}


def find_project(start: Path) -> Path:
    """Return the project that a directory belongs to: the nearest one, it or above it, that has a thedata.yaml.

    Raises:
        UsageError: There is none.
    """
    directory = start.absolute()
    for candidate in (directory, *directory.parents):
        if (candidate / PROJECT_FILE).is_file():
            return candidate
    raise UsageError(
        f"no project here: neither {directory} nor a directory above it has a {PROJECT_FILE}",
        hint="`thedata init NAME` makes a project; `--project DIR` names one",
    )


def suffixes_of(directory: str) -> tuple[str, ...]:
    """Return the endings of the files that are read in a directory."""
    return SUFFIXES.get(directory, (".yaml",))


def list_files(
    root: Path, directory: str, problems: list[Problem], suffixes: Collection[str] | None = None
) -> list[Path]:
    """Return the files to read in one directory and below it, relative to the project, sorted.

    Reports files whose ending is nearly right, which would otherwise be ignored in silence.

    Args:
        root: Root of the project.
        directory: Name of the directory.
        problems: Gets the mistakes.
        suffixes: Endings of the files that are read; None for those that the directory's name stands for.
    """
    found: list[Path] = []
    if suffixes is None:
        suffixes = suffixes_of(directory)
    for file in _walk(root, directory, problems):
        if file.suffix in suffixes:
            found.append(file)
        elif near := _meant_suffix(file, suffixes):
            problems.append(
                Problem(
                    SourcePosition(file), "", f"files that end in {file.suffix} are not read here",
                    f"rename it to {file.with_suffix(near).name}",
                )
            )  # fmt: skip
    return found


def unread_directories(root: Path, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield directories that nothing reads although they hold YAML or SQL files, and the known name each resembles."""
    for entry in sorted(root.iterdir()):
        if entry.name in known or entry.name.startswith(".") or not entry.is_dir():
            continue
        if any(file.suffix in _NEAR_SUFFIXES for file in _walk(root, entry.name)):
            near = get_close_matches(entry.name.casefold(), known, n=1, cutoff=0.75)
            yield entry.name, near[0] if near else ""


def _walk(root: Path, directory: str, problems: list[Problem] | None = None) -> Iterator[Path]:
    """Yield regular files in a stable order; hidden ones are left out, and links are not followed into directories."""

    def note(error: OSError) -> None:
        if problems is not None and not isinstance(error, FileNotFoundError):
            position = SourcePosition(Path(error.filename).relative_to(root))
            problems.append(Problem(position, "", f"cannot be read: {error.strerror}"))

    for parent, directories, names in os.walk(root / directory, onerror=note):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path.relative_to(root)


def _meant_suffix(file: Path, suffixes: Collection[str]) -> str:
    near = _NEAR_SUFFIXES.get(file.suffix.lower(), "")
    return near if near in suffixes else ""
