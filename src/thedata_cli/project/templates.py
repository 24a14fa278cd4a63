"""Renders the files of a blueprint. They may come from a stranger: nothing outside the blueprint is read.

Only files that end in `.jinja` are rendered, in a sandbox, and lose the ending; all others are copied as they are. The
names of files and directories are rendered too.
"""

from __future__ import annotations

import os
import stat
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from thedata_cli.errors import InvalidProjectError, Problem, SourcePosition

TEMPLATE_SUFFIX = ".jinja"

_LEFT_OUT = frozenset({".git", "__pycache__", ".DS_Store"})
_KEPT_FOR_THEDATA = frozenset({".thedata", "secrets"})


@dataclass(frozen=True)
class RenderedFile:
    """One file of the new project.

    Attributes:
        path: Relative to the project; never leaves it.
        content: All of it.
        is_executable: Whether its source is.
    """

    path: PurePosixPath
    content: bytes
    is_executable: bool


@dataclass(frozen=True)
class _Source:
    path: PurePosixPath
    content: bytes
    is_executable: bool


def render_files(directory: Path, manifest: str, variables: Mapping[str, Any]) -> list[RenderedFile]:
    """Return every file that a blueprint makes, sorted by path.

    Args:
        directory: Root of the blueprint.
        manifest: Name of the file in it that describes the blueprint and is no part of the project.
        variables: What templates see.

    Raises:
        InvalidProjectError: The blueprint has mistakes, or tries to leave its directory or the project's.
    """
    problems: list[Problem] = []
    sources = {source.path: source for source in _read_sources(directory, Path(), problems)}
    sources.pop(PurePosixPath(manifest), None)
    renderer = _Renderer(sources, variables, problems)
    rendered: dict[PurePosixPath, RenderedFile] = {}
    for source in sources.values():
        file = renderer.render(source)
        if file is None:
            continue
        if file.path in rendered:
            problems.append(_problem(source.path, f"two files of the blueprint become {file.path}"))
        rendered[file.path] = file
    for path in rendered:
        if any(parent in rendered for parent in path.parents):
            problems.append(_problem(path, "the name of a file is also that of a directory"))
    if problems:
        raise InvalidProjectError(
            problems, what=f"the blueprint in {directory}", hint="docs/project.md says what a blueprint holds"
        )
    return [rendered[path] for path in sorted(rendered)]


def _read_sources(root: Path, below: Path, problems: list[Problem]) -> Iterator[_Source]:
    """Read all regular files up front, so that nothing that happens to the directory later changes what is rendered."""
    for entry in sorted(os.scandir(root / below), key=lambda entry: entry.name):
        path = below / entry.name
        if entry.name in _LEFT_OUT or entry.name.endswith(".pyc"):
            continue
        if entry.is_symlink():
            problems.append(_problem(path, "is a symbolic link", "a blueprint holds plain files only"))
        elif entry.is_dir():
            yield from _read_sources(root, path, problems)
        elif entry.is_file():
            source = _read_source(root, path, problems)
            if source:
                yield source
        else:
            problems.append(_problem(path, "is no regular file", "a blueprint holds plain files only"))


def _read_source(root: Path, path: Path, problems: list[Problem]) -> _Source | None:
    try:
        descriptor = os.open(root / path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as stream:
            is_executable = bool(os.fstat(descriptor).st_mode & stat.S_IXUSR)
            return _Source(PurePosixPath(path.as_posix()), stream.read(), is_executable)
    except OSError as error:
        problems.append(_problem(path, f"cannot be read: {error.strerror}"))
        return None


class _Renderer:
    def __init__(
        self, sources: Mapping[PurePosixPath, _Source], variables: Mapping[str, Any], problems: list[Problem]
    ) -> None:
        from jinja2 import FunctionLoader, StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        self._sources = sources
        self._variables = variables
        self._problems = problems
        self._environment = ImmutableSandboxedEnvironment(
            loader=FunctionLoader(self._text), undefined=StrictUndefined, keep_trailing_newline=True
        )

    def _text(self, name: str) -> tuple[str, str, None] | None:
        """Give `include`, `import` and `extends` the blueprint's own files, and no others."""
        source = self._sources.get(PurePosixPath(name))
        return (source.content.decode(), name, None) if source else None

    def render(self, source: _Source) -> RenderedFile | None:
        path = self._render_path(source)
        if path is None:
            return None
        if source.path.suffix != TEMPLATE_SUFFIX:
            return RenderedFile(path, source.content, source.is_executable)
        name = source.path.as_posix()
        try:
            text = self._environment.get_template(name).render(self._variables)
        except Exception as error:
            self._report(source.path, error)
            return None
        return RenderedFile(path, text.encode(), source.is_executable)

    def _render_path(self, source: _Source) -> PurePosixPath | None:
        parts: list[str] = []
        for part in source.path.parts:
            try:
                rendered = self._environment.from_string(part).render(self._variables) if "{" in part else part
            except Exception as error:
                self._report(source.path, error)
                return None
            parts.append(rendered)
        if source.path.suffix == TEMPLATE_SUFFIX:
            parts[-1] = parts[-1].removesuffix(TEMPLATE_SUFFIX)
        for part in parts:
            if reason := _why_unsafe(part):
                self._problems.append(_problem(source.path, f"becomes {'/'.join(parts)!r}: {reason}"))
                return None
        if parts[0].casefold() in _KEPT_FOR_THEDATA:
            message = f"becomes {'/'.join(parts)!r}: {parts[0]}/ is made by thedata itself"
            self._problems.append(_problem(source.path, message))
            return None
        return PurePosixPath(*parts)

    def _report(self, path: PurePosixPath, error: Exception) -> None:
        """Say where in which template rendering stopped."""
        known = {source.as_posix() for source in self._sources}
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in known]
        file, line = (frames[-1].filename, frames[-1].lineno or 0) if frames else (path.as_posix(), 0)
        line = getattr(error, "lineno", None) or line
        position = SourcePosition(Path(file), line, 1 if line else 0)
        self._problems.append(Problem(position, "", f"cannot be rendered: {str(error) or type(error).__name__}"))


def _why_unsafe(part: str) -> str:
    """Say why a name must not be made; empty when it may."""
    if part in ("", ".", ".."):
        return "a name must not be empty, `.` or `..`"
    if "/" in part or "\\" in part or not part.isprintable():
        return "a name must not have slashes or control characters"
    if part.casefold().rstrip(". ") == ".git":
        return "git would run what is in it"
    if len(part.encode()) > 255:
        return "the name is too long"
    return ""


def _problem(path: Path | PurePosixPath, message: str, expected: str = "") -> Problem:
    return Problem(SourcePosition(Path(path)), "", message, expected)
