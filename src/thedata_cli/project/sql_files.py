"""Reads the SQL files that declare resources, one statement each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from thedata_cli.component_api.component import Component
from thedata_cli.component_api.declarations import Declared
from thedata_cli.component_api.sql_files import SqlDeclaration, SqlDocument, SqlMistakeError
from thedata_cli.errors import Problem
from thedata_cli.project.declarations import Declarations
from thedata_cli.project.documents import read_text

SUFFIXES = (".sql",)


def sql_directories(components: Mapping[str, type[Component]]) -> dict[str, tuple[str, type[SqlDeclaration]]]:
    """Return, for each directory of SQL files, the component that reads it and the model of its files."""
    return {
        directory: (key, model)
        for key, component in components.items()
        for directory, model in component.sql_files.items()
    }


def read_sql_files(
    directory: Path,
    files: Sequence[Path],
    component: str,
    model: type[SqlDeclaration],
    found: Declarations,
    problems: list[Problem],
) -> None:
    """Read every SQL file of one directory.

    Args:
        directory: Root of the project.
        files: Relative to it.
        component: Key of the component that the files belong to.
        model: What each is read as.
        found: Gets the declarations; names that are taken are the component's business, which knows what shares them.
        problems: Gets the mistakes.
    """
    for file in files:
        text = read_text(directory, file, problems)
        if text is None:
            found.add_broken(file.parts[0], component, "")
            continue
        try:
            declaration = model.read(text)
        except SqlMistakeError as mistake:
            position = SqlDocument(file, text, {"": mistake.offset}).position()
            problems.append(Problem(position, "", mistake.message, mistake.expected))
            found.add_broken(file.parts[0], component, "")
            continue
        found.append(file.parts[0], component, Declared(declaration, SqlDocument(file, text, declaration.offsets)))
