"""Names that the shell completes: those of the project that the command line means, read from its files.

Each function returns all names there are; Typer picks those that fit what is typed. Nothing is validated, so that a
project with mistakes completes what can be read of it, and the shell does not wait for what only a command needs.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from pathlib import Path

import typer

from thedata_cli.errors import TheDataError

_VIEW = re.compile(
    r"""(?:\s|--[^\n]*|/\*.*?\*/)*+
        CREATE\s+(?:OR\s+REPLACE\s+)?(?:MATERIALIZED\s+VIEW|VIEW|SOURCE|TABLE)\s+(?:IF\s+NOT\s+EXISTS\s+)?
        (?:[\w$"]+\.)*(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[\w$]+))""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
"""How a file of views/ begins that declares something with rows."""


def _quietly(find: Callable[[typer.Context], Iterator[str]]) -> Callable[[typer.Context], Sequence[str]]:
    """Return what was found before anything went wrong: a shell that completes has no place for errors."""

    @wraps(find)
    def complete(ctx: typer.Context) -> Sequence[str]:
        names: set[str] = set()
        with contextlib.suppress(Exception):
            for name in find(ctx):
                names.add(name)
        return sorted(names)

    return complete


@_quietly
def environments(ctx: typer.Context) -> Iterator[str]:
    """Complete the environments of the project."""
    from thedata_cli.project.environments import environment_names

    yield from environment_names(_files(_project(ctx), "environments"))


@_quietly
def streams(ctx: typer.Context) -> Iterator[str]:
    """Complete the streams: the declared ones, and that of the dead letters where there are pipelines."""
    from thedata_cli.project.documents import read_document

    project = _project(ctx)
    for file in _files(project, "streams"):
        document = read_document(project, file, [])
        name = document.node(("name",)) if document else None
        yield name.text if name and name.text else file.stem
    if _files(project, "pipelines"):
        from thedata_cli.project.model import DEAD_LETTER_STREAM

        yield DEAD_LETTER_STREAM


@_quietly
def views(ctx: typer.Context) -> Iterator[str]:
    """Complete the views, and what else in views/ has rows."""
    from thedata_cli.project.documents import read_text

    project = _project(ctx)
    for file in _files(project, "views", ".sql"):
        found = _VIEW.match(read_text(project, file, []) or "")
        if found:
            yield found["plain"].lower() if found["plain"] else found["quoted"].replace('""', '"')


@_quietly
def queries(ctx: typer.Context) -> Iterator[str]:
    """Complete the named queries."""
    for file in _files(_project(ctx), "queries"):
        yield file.stem


@_quietly
def services(ctx: typer.Context) -> Iterator[str]:
    """Complete the services of the stack."""
    from thedata_cli.project.registry import WORKER

    yield from _components(ctx)
    if _files(_project(ctx), "pipelines"):
        yield WORKER


@_quietly
def engines(ctx: typer.Context) -> Iterator[str]:
    """Complete the components that run SQL."""
    from thedata_cli.project.references import TABLES, VIEWS
    from thedata_cli.project.registry import component_class

    for key in _components(ctx):
        with contextlib.suppress(TheDataError):
            component = component_class(key)
            if TABLES in component.declarations or VIEWS in component.sql_files:
                yield key


@_quietly
def blueprints(ctx: typer.Context) -> Iterator[str]:  # noqa: ARG001
    """Complete the blueprints that come with thedata."""
    from thedata_cli.project.blueprints import blueprint_names

    yield from blueprint_names()


def _project(ctx: typer.Context) -> Path:
    from thedata_cli.project.files import find_project

    # The shell gives its words as they are typed, before it has put the home directory for a `~`.
    return find_project(Path(ctx.params.get("project") or Path()).expanduser())


def _files(project: Path, directory: str, *suffixes: str) -> Sequence[Path]:
    from thedata_cli.project.files import list_files

    return list_files(project, directory, [], suffixes or None)


def _components(ctx: typer.Context) -> Sequence[str]:
    """Return the keys under `components:` of thedata.yaml, as the environment on the command line sees it."""
    from thedata_cli.project.environments import read_project_file
    from thedata_cli.project.files import DEFAULT_ENVIRONMENT

    project = _project(ctx)
    environment = ctx.params.get("environment") or DEFAULT_ENVIRONMENT
    document = read_project_file(project, environment, _files(project, "environments"), [])
    node = document.node(("components",)) if document else None
    return list(node.value) if node and isinstance(node.value, dict) else ()
