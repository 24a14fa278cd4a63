"""Makes a project from a blueprint, whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from thedata_cli.component_api.declarations import NAME_PATTERN
from thedata_cli.errors import InvalidProjectError, Problem, RefusedError, SourcePosition, TheDataError, UsageError
from thedata_cli.project.blueprints import MANIFEST, Answer, Blueprint
from thedata_cli.project.data_files import data_directory
from thedata_cli.project.files import PROJECT_FILE
from thedata_cli.project.load import load_project
from thedata_cli.project.schemas import write_schemas
from thedata_cli.project.secrets import ensure_secrets
from thedata_cli.project.suggestions import suggest
from thedata_cli.project.templates import RenderedFile, render_files

_STAGE = re.compile(r"\.(?P<target>.*)\.thedata-init-(?P<process>[0-9]+)")
_SHOWN = 10


def scaffold(blueprint: Blueprint, target: Path, *, name: str, answers: Mapping[str, Answer]) -> Sequence[Path]:
    """Make a project in a directory that does not exist yet, or is empty.

    The project is built in a hidden directory beside the target, checked, given its secrets and schemas, and then
    renamed into place: after a kill there is no half project. Only where the target is a directory that must keep its
    identity (the working directory, or one in which only the target itself is writable) are its entries moved in one
    by one, `thedata.yaml` last.

    Args:
        blueprint: What to make.
        target: Where.
        name: Name of the project; templates see it as `name`.
        answers: As `Blueprint.answers` returns them; templates see each under its name.

    Returns:
        The files that were made, relative to the target, sorted.

    Raises:
        UsageError: The name is not allowed.
        RefusedError: The target is not empty.
        InvalidProjectError: The blueprint is broken.
        TheDataError: The target cannot be written.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise UsageError(
            f"{name!r} cannot be the name of a project",
            hint="use letters, digits, `_` and `-`, with a letter or `_` first",
        )
    target = target.expanduser().resolve()
    with _failures_of(target):
        _remove_abandoned_stages(target)
    refuse_filled(target)
    variables = {**answers, "name": name, "blueprint": _identity(blueprint)}
    files = render_files(blueprint.directory, MANIFEST, variables)
    with _failures_of(target):
        is_kept = _must_stay(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        stage = (target if is_kept else target.parent) / f".{target.name}.thedata-init-{os.getpid()}"
        stage.mkdir()
        try:
            _fill(stage, files, blueprint)
            made = sorted(path.relative_to(stage) for path in stage.rglob("*") if path.is_file())
            _move(stage, target, is_kept=is_kept)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return made


def refuse_filled(target: Path) -> None:
    """Stop where something is already there.

    Raises:
        RefusedError: With what is in the way.
    """
    if target.exists() and not target.is_dir():
        raise RefusedError(f"{target} is a file", hint="choose another directory")
    try:
        names = sorted(entry.name for entry in target.iterdir()) if target.exists() else []
        names = [name for name in names if not _is_abandoned(name, target.resolve().name)]
    except OSError as error:
        raise TheDataError(f"{target} cannot be read: {error.strerror}", hint="choose another directory") from error
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise RefusedError(
            f"{target} is not empty: it has {', '.join(names[:_SHOWN])}{more}",
            hint="choose a new directory, or empty this one",
        )


def _identity(blueprint: Blueprint) -> Mapping[str, str]:
    return {"name": blueprint.name, "version": blueprint.manifest.version}


def _fill(stage: Path, files: Sequence[RenderedFile], blueprint: Blueprint) -> None:
    """Write everything, and refuse a blueprint that makes no valid project."""
    for file in files:
        path = stage / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        if file.is_executable:
            path.chmod(path.stat().st_mode | 0o111 & ~_umask())
    _write_gitignore(stage / ".gitignore")
    made_by = f"the project that blueprint {blueprint.name!r} makes"
    if not (stage / PROJECT_FILE).is_file():
        problem = Problem(SourcePosition(Path(PROJECT_FILE)), "", "is missing", "add it to the blueprint")
        raise InvalidProjectError([problem], what=made_by, hint="docs/project.md says what a blueprint holds")
    try:
        project = load_project(stage)
    except InvalidProjectError as error:
        raise InvalidProjectError(error.problems, what=made_by, hint="mend the blueprint") from error
    unknown = [
        Problem(SourcePosition(Path(MANIFEST)), "shows", f"unknown query {name!r}", suggest(name, project.queries))
        for name in blueprint.manifest.shows
        if name not in project.queries
    ]
    if unknown:
        raise InvalidProjectError(unknown, what=f"blueprint {blueprint.name!r}", hint="mend the blueprint")
    ensure_secrets(stage, chain.from_iterable(project.secrets.values()))
    write_schemas(stage)


def _umask() -> int:
    """Return the process's mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _write_gitignore(file: Path) -> None:
    """Keep secrets and local state out of git, whatever the blueprint's own file says."""
    ours = (data_directory("templates") / "project" / "gitignore").read_text(encoding="utf-8")
    theirs = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    file.write_text(f"{theirs.rstrip()}\n\n{ours}" if theirs.strip() else ours, encoding="utf-8")


def _must_stay(target: Path) -> bool:
    """Tell whether an existing target cannot be replaced by another directory of the same name."""
    if not target.exists():
        return False
    here = Path.cwd()
    return target == here or target in here.parents or target.is_mount() or not os.access(target.parent, os.W_OK)


def _move(stage: Path, target: Path, *, is_kept: bool) -> None:
    if not is_kept:
        stage.rename(target)
        return
    entries = sorted(stage.iterdir(), key=lambda entry: entry.name == PROJECT_FILE)
    for entry in entries:
        entry.rename(target / entry.name)


def _remove_abandoned_stages(target: Path) -> None:
    """Remove what a killed init left behind."""
    for directory in (target.parent, target):
        if not directory.is_dir():
            continue
        for entry in directory.iterdir():
            if _is_abandoned(entry.name, target.name):
                shutil.rmtree(entry, ignore_errors=True)


def _is_abandoned(name: str, target: str) -> bool:
    """Tell whether a name is that of a stage for the target whose process is gone."""
    match = _STAGE.fullmatch(name)
    return match is not None and match["target"] == target and not _is_running(int(match["process"]))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def _failures_of(target: Path) -> Iterator[None]:
    """Turn what the file system refuses into an error that names the directory."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise RefusedError(
                f"{target} was filled by somebody else in the meantime", hint="choose another directory"
            ) from error
        raise TheDataError(
            f"{target} cannot be written: {error.strerror}",
            hint="choose another directory, or make room and give yourself the right to write",
        ) from error
