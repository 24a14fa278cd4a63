"""Where the files that come with thedata are: in the wheel, or beside the sources in a checkout."""

from __future__ import annotations

from pathlib import Path

from thedata_cli.errors import MissingDependencyError

_PACKAGE = Path(__file__).parent.parent


def data_directory(name: str) -> Path:
    """Return the directory of that name, such as `blueprints` or `templates`.

    Raises:
        MissingDependencyError: The installation is incomplete.
    """
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent.parent / name):
        if candidate.is_dir():
            return candidate
    raise MissingDependencyError(
        f"the installation of thedata lacks its {name}/",
        hint="install it again: `pip install --force-reinstall thedata`",
    )
