"""docs/project.md: its tables are generated, its examples are a valid project."""

from __future__ import annotations

import re
from pathlib import Path

from tests.project import reference
from tests.project.conftest import write
from thedata_cli.project.contract_fields import ANNOTATIONS, KEYWORDS
from thedata_cli.project.load import load_project
from thedata_cli.project.model import Project

PAGE = reference.PAGE.read_text()
EXAMPLES = dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))


def load(directory: Path, environment: str) -> Project:
    return load_project(write(directory, EXAMPLES), environment)


def test_the_tables_are_what_the_models_say() -> None:
    assert reference.render(PAGE) == PAGE, "run `python -m tests.project.reference --write`"
    assert set(re.findall(r"<!-- generated: (\w+) -->", PAGE)) == {*reference.MODELS, "types"}


def test_every_key_is_explained() -> None:
    unexplained = [
        f"{name}.{key}"
        for name, model in reference.MODELS.items()
        for key, field in model.model_fields.items()
        if not field.description
    ]
    assert unexplained == []


def test_every_keyword_of_contracts_is_named() -> None:
    named = {keyword for keyword in KEYWORDS | ANNOTATIONS if f"`{keyword}`" in PAGE or f"| {keyword} |" in PAGE}
    assert named == KEYWORDS | ANNOTATIONS


def test_the_examples_are_a_valid_project(tmp_path: Path) -> None:
    project = load(tmp_path, "dev")
    assert list(project.components) == ["nats", "questdb", "clickhouse", "worker"]
    assert len(project.routes) == 2
    assert project.queries["late"].chart == "bar x=carrier y=delay"
    assert getattr(load(tmp_path, "prod").components["nats"], "max_payload", None) == 8_000_000
