"""Projects and blueprints: for people, and as `thedata/init/1`, `thedata/check/1`, `thedata/blueprint/1`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thedata_cli.output.quantities import count_text
from thedata_cli.output.table import Listing, print_listing
from thedata_cli.project.blueprints import Blueprint
from thedata_cli.project.model import Project

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class InitReport:
    """A project that has just been made; `files` are relative to `directory`."""

    directory: Path
    blueprint: Blueprint
    files: Sequence[Path]


def print_init(console: Console, report: InitReport) -> None:
    """Print what was made, and the next commands."""
    made = count_text(len(report.files), "file")
    console.print(f"Made {report.directory} from blueprint {report.blueprint.name}: {made}", style="bold", markup=False)
    if report.blueprint.manifest.requires:
        packages = " ".join(report.blueprint.manifest.requires)
        console.print(f"Its feeds need: pip install {packages}", markup=False, soft_wrap=True)
    console.print(
        f"Next: cd {report.directory}\n      thedata check        is everything valid?\n      thedata up           "
        "start it, and create what it declares",
        style="dim",
        markup=False,
    )


def init_document(report: InitReport) -> dict[str, Any]:
    """Return the JSON form of what `init` made."""
    return {
        "schema": "thedata/init/1",
        "directory": str(report.directory.resolve()),
        "blueprint": report.blueprint.name,
        "files": [str(file) for file in report.files],
    }


def counts(project: Project) -> Mapping[str, int]:
    """Return how many of each thing a project declares."""
    return {
        "components": len(project.components),
        "contracts": len(project.contracts),
        "resources": sum(map(len, project.declared.values())),
        "pipelines": len(project.pipelines),
        "queries": len(project.queries),
        "feeds": len(project.feeds),
    }


def print_check(console: Console, project: Project) -> None:
    """Print that a project is valid, and what is in it."""
    parts = ", ".join(
        f"{number} {'query' if name == 'queries' else name.removesuffix('s')}" if number == 1 else f"{number} {name}"
        for name, number in counts(project).items()
        if number
    )
    console.print(f"{project.name} is valid ({project.environment}): {parts}", style="green", markup=False)


def check_document(project: Project) -> dict[str, Any]:
    """Return the JSON form of a valid project; an invalid one is an error."""
    return {
        "schema": "thedata/check/1",
        "project": project.name,
        "environment": project.environment,
        "counts": dict(counts(project)),
    }


def print_blueprints(console: Console, blueprints: Sequence[Blueprint]) -> None:
    """Print a line per blueprint."""
    rows = [(blueprint.name, blueprint.manifest.version, blueprint.manifest.description) for blueprint in blueprints]
    print_listing(console, Listing(("BLUEPRINT", "VERSION", "DESCRIPTION"), rows))


def blueprints_document(blueprints: Sequence[Blueprint]) -> dict[str, Any]:
    """Return the JSON form of the list."""
    return {
        "schema": "thedata/blueprints/1",
        "blueprints": [
            {
                "name": blueprint.name,
                "version": blueprint.manifest.version,
                "description": blueprint.manifest.description,
            }
            for blueprint in blueprints
        ],
    }


def print_blueprint(console: Console, blueprint: Blueprint) -> None:
    """Print what a blueprint makes and asks."""
    manifest = blueprint.manifest
    console.print(f"{manifest.name} {manifest.version}", style="bold", markup=False)
    console.print(manifest.description, markup=False)
    for question in manifest.questions:
        choices = f" ({', '.join(map(str, question.choices))})" if question.choices else ""
        console.print(f"  --set {question.name}={question.default}   {question.prompt}{choices}", markup=False)
    if manifest.requires:
        console.print(f"needs: pip install {' '.join(manifest.requires)}", markup=False)
    for file in _files(blueprint):
        console.print(f"  {file}", style="dim", markup=False)


def blueprint_document(blueprint: Blueprint) -> dict[str, Any]:
    """Return the JSON form of one blueprint."""
    return {
        "schema": "thedata/blueprint/1",
        **blueprint.manifest.model_dump(mode="json"),
        "files": _files(blueprint),
    }


def _files(blueprint: Blueprint) -> list[str]:
    """Return the files that a project gets, as their templates are called."""
    paths = (path for path in blueprint.directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(str(path.relative_to(blueprint.directory)) for path in paths if path.name != "blueprint.yaml")
