"""Blueprints: packaged templates of a project. What they ask, and where they are; `scaffold.py` lays them down."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from thedata_cli.component_api.declarations import Model, Name
from thedata_cli.errors import InvalidProjectError, Problem, UsageError
from thedata_cli.project.data_files import data_directory
from thedata_cli.project.documents import read_document
from thedata_cli.project.suggestions import either, suggest
from thedata_cli.project.validation import validate

MANIFEST = "blueprint.yaml"

Answer = str | int | float | bool

RESERVED_NAMES = ("name", "blueprint")
"""Every template can use them: the project's name, and the blueprint's name and version."""


class Question(Model):
    """Something a blueprint asks; templates see the answer under its name."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    """Name of the variable."""

    type: Literal["string", "integer", "number", "boolean"] = "string"
    """What the answer is: `string`, `integer`, `number` or `boolean`."""

    prompt: Annotated[str, Field(min_length=1)]
    """The question, for a person."""

    default: Answer
    """Taken with `--yes`, and by pressing Enter."""

    choices: tuple[Answer, ...] = ()
    """The allowed answers; empty means any."""

    pattern: str | None = None
    """Regular expression that the whole of a text must match."""

    @model_validator(mode="after")
    def _check_default(self) -> Self:
        if self.name in RESERVED_NAMES:
            raise ValueError(f"{self.name!r} is set for every template; choose another name")
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"{self.pattern!r} is no regular expression: {error}") from error
        for value in (*self.choices, self.default):
            self.check(value)
        return self

    def parse(self, text: str) -> Answer:
        """Read an answer that was typed.

        Raises:
            ValueError: It is not allowed; the text says what is.
        """
        return self.check(_PARSERS[self.type](text.strip()))

    def check(self, value: Answer) -> Answer:
        """Return the answer when it is allowed.

        Raises:
            ValueError: It is not; the text says what is.
        """
        if type(value) not in _TYPES[self.type]:
            raise ValueError(f"{value!r} is no {self.type}")
        if self.choices and value not in self.choices:
            raise ValueError(f"{value!r} is no choice; write {either([str(choice) for choice in self.choices])}")
        if self.pattern and not re.fullmatch(self.pattern, str(value)):
            raise ValueError(f"{value!r} is not allowed; it must match {self.pattern}")
        return value


def _parse_boolean(text: str) -> bool:
    words = {"true": True, "yes": True, "y": True, "false": False, "no": False, "n": False}
    if text.lower() not in words:
        raise ValueError(f"{text!r} is neither yes nor no")
    return words[text.lower()]


def _parse_integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is no whole number") from None


def _parse_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None


_PARSERS: Mapping[str, Any] = {
    "string": str,
    "integer": _parse_integer,
    "number": _parse_number,
    "boolean": _parse_boolean,
}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


class Manifest(Model):
    """What `blueprint.yaml` says."""

    name: Name
    """Name of the blueprint; its directory has the same."""

    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+([-+.][0-9A-Za-z.+-]*)?$")]
    """Version of the blueprint, such as 1.0.0."""

    description: Annotated[str, Field(min_length=1)]
    """What kind of project it makes, in one sentence."""

    questions: tuple[Question, ...] = ()
    """What it asks."""

    requires: tuple[str, ...] = ()
    """Python packages that the project's own programs need, as pip takes them."""

    shows: tuple[Name, ...] = ()
    """Named queries of the project that `thedata demo` shows at the end."""

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [question.name for question in self.questions]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"the question {twice!r} is asked twice")
        return self


@dataclass(frozen=True)
class Blueprint:
    """A blueprint and where it is."""

    manifest: Manifest
    directory: Path

    @property
    def name(self) -> str:
        """Name of the blueprint."""
        return self.manifest.name

    def answers(self, given: Mapping[str, str]) -> dict[str, Answer]:
        """Return the answer to every question: those that were given as text, the default for the rest.

        Raises:
            UsageError: An answer is not allowed, or there is no such question.
        """
        questions = {question.name: question for question in self.manifest.questions}
        for name in given.keys() - questions.keys():
            raise UsageError(f"blueprint {self.name!r} does not ask for {name!r}", hint=suggest(name, questions))
        answers: dict[str, Answer] = {name: question.default for name, question in questions.items()}
        for name, text in given.items():
            try:
                answers[name] = questions[name].parse(text)
            except ValueError as error:
                message, _, expected = str(error).partition("; ")
                raise UsageError(f"{name}: {message}", hint=expected or questions[name].prompt) from error
        return answers


def list_blueprints() -> Sequence[Blueprint]:
    """Return the blueprints that come with thedata, by name."""
    root = data_directory("blueprints")
    return [read_blueprint(root / name) for name in blueprint_names()]


def blueprint_names() -> Sequence[str]:
    """Return the names of the blueprints that come with thedata, sorted."""
    root = data_directory("blueprints")
    return sorted(directory.name for directory in root.iterdir() if (directory / MANIFEST).is_file())


def find_blueprint(name: str) -> Blueprint:
    """Return a blueprint that comes with thedata, by name, or any other one, by the path of its directory.

    Raises:
        UsageError: There is none.
        InvalidProjectError: Its blueprint.yaml has mistakes.
    """
    if "/" in name or name.startswith("."):
        directory = Path(name).expanduser()
        if not (directory / MANIFEST).is_file():
            raise UsageError(f"{directory} is no blueprint: it has no {MANIFEST}")
        return read_blueprint(directory)
    root = data_directory("blueprints")
    if (root / name / MANIFEST).is_file():
        return read_blueprint(root / name)
    raise UsageError(
        f"unknown blueprint {name!r}", hint=f"{suggest(name, blueprint_names())} A path such as ./{name} works too"
    )


def read_blueprint(directory: Path) -> Blueprint:
    """Read the manifest of the blueprint in a directory.

    Raises:
        InvalidProjectError: It has mistakes; all of them are listed.
    """
    problems: list[Problem] = []
    document = read_document(directory, Path(MANIFEST), problems)
    manifest = validate(Manifest, document, problems) if document else None
    if problems or manifest is None:
        raise InvalidProjectError(
            problems, what=f"the blueprint in {directory}", hint="docs/project.md says what a blueprint holds"
        )
    return Blueprint(manifest, directory.resolve())
