"""`init`, `check`, `schema`, `blueprint`: the files of a project. No server is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thedata_cli.cli import completion
from thedata_cli.cli.app import app
from thedata_cli.cli.options import BlueprintName, EnvironmentName, Format, OutputFormat, ProjectDir, Yes
from thedata_cli.cli.run_command import run_command
from thedata_cli.errors import UsageError
from thedata_cli.output.console import Show

if TYPE_CHECKING:
    from thedata_cli.project.blueprints import Answer, Blueprint

blueprint_app = typer.Typer(
    help="Look at the blueprints that `init` makes projects from.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(blueprint_app, name="blueprint")


@app.command()
@run_command
def init(
    show: Show,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory to make; its name is the project's.")],
    blueprint: BlueprintName = "flights",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Answer a question; repeatable.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the project, if not that of the directory.")] = "",
    yes: Yes = False,
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> None:
    """Make a new project from a blueprint.

    It is plain files to read, edit and keep in git, and fresh random secrets. Asks the blueprint's questions; --yes
    takes the defaults, --set answers one.

    Example: thedata init my-platform --blueprint flights --yes
    """
    from thedata_cli.output.project import InitReport, init_document, print_init
    from thedata_cli.project.blueprints import find_blueprint
    from thedata_cli.project.scaffold import refuse_filled, scaffold

    chosen = find_blueprint(blueprint)
    refuse_filled(directory)
    given = _settings(settings or ())
    answers: Mapping[str, Answer] = chosen.answers(given)
    if not yes and show.can_ask:
        answers = _ask(show, chosen, answers, given)
    files = scaffold(chosen, directory, name=name or directory.resolve().name, answers=answers)
    show.result(InitReport(directory, chosen, files), human=print_init, document=init_document)


def _settings(texts: list[str] | tuple[()]) -> dict[str, str]:
    settings = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text!r} has no value", hint="write it as --set KEY=VALUE")
        settings[key] = value
    return settings


def _ask(
    show: Show, blueprint: Blueprint, answers: Mapping[str, Answer], given: Mapping[str, str]
) -> Mapping[str, Answer]:
    """Ask every question that the command line did not answer, until the answer is allowed."""
    asked = dict(answers)
    for question in blueprint.manifest.questions:
        while question.name not in given:
            text = show.ask(question.prompt, default=str(question.default), choices=tuple(map(str, question.choices)))
            try:
                asked[question.name] = question.parse(text)
            except ValueError as error:
                show.warning(str(error))
            else:
                break
    return asked


@app.command()
@run_command
def check(
    show: Show,
    project: ProjectDir = Path(),
    environment: EnvironmentName = "dev",
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> None:
    """Check every file of the project, without a server. Reads only.

    All mistakes are listed at once, each with file, line and column. Exits with 3 when there is one.

    Example: thedata check --output json
    """
    from thedata_cli.output.project import check_document, print_check
    from thedata_cli.project.load import open_project

    loaded = open_project(project, environment)
    show.result(loaded, human=print_check, document=check_document)


@app.command()
@run_command
def schema(
    kind: Annotated[str, typer.Argument(metavar="[KIND]", help="One kind of file; all of them when left out.")] = "",
    write: Annotated[bool, typer.Option("--write", help="Write them to .thedata/schemas/, for editors.")] = False,
    project: ProjectDir = Path(),
    output: OutputFormat = Format.JSON,  # noqa: ARG001
) -> None:
    """Print the JSON Schema of a kind of project file.

    It is what an editor completes and checks while you type.

    Example: thedata schema stream
    """
    import json

    from thedata_cli.project.files import find_project
    from thedata_cli.project.schemas import all_schemas, write_schemas

    if write:
        for file in write_schemas(find_project(project)):
            typer.echo(file)
        return
    schemas = all_schemas()
    if kind and kind not in schemas:
        raise UsageError(f"there is no file of kind {kind!r}", hint=f"kinds: {', '.join(schemas)}")
    typer.echo(json.dumps(schemas[kind] if kind else schemas, indent=2, ensure_ascii=False))


@blueprint_app.command("ls")
@run_command
def list_all(
    show: Show,
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> None:
    """List the blueprints that come with thedata. Reads only.

    Example: thedata blueprint ls
    """
    from thedata_cli.output.project import blueprints_document, print_blueprints
    from thedata_cli.project.blueprints import list_blueprints

    show.result(list_blueprints(), human=print_blueprints, document=blueprints_document)


@blueprint_app.command("show")
@run_command
def show_one(
    show: Show,
    name: Annotated[
        str, typer.Argument(help="A name from `blueprint ls`, or a path.", autocompletion=completion.blueprints)
    ],
    output: OutputFormat = Format.HUMAN,  # noqa: ARG001
) -> None:
    """Show what a blueprint makes and what it asks. Reads only.

    Example: thedata blueprint show flights
    """
    from thedata_cli.output.project import blueprint_document, print_blueprint
    from thedata_cli.project.blueprints import find_blueprint

    show.result(find_blueprint(name), human=print_blueprint, document=blueprint_document)
