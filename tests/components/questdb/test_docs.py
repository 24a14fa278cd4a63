"""The page of the component says what the models say, and its examples are valid."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from tests.components.questdb import reference
from tests.components.questdb.cases import problems, project, table, view

from thedata_cli.components.questdb.component import QuestDBComponent
from thedata_cli.project.model import ViewPipeline

PAGE = reference.PAGE.read_text()
EXAMPLES: list[Any] = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]

DESCRIBED = [
    pytest.param(field.description, id=f"{model.__name__}.{key}")
    for model in reference.MODELS.values()
    for key, field in model.model_fields.items()
]


def test_the_tables_are_what_the_models_say() -> None:
    assert reference.render(PAGE) == PAGE, "run `python -m tests.components.questdb.reference`"


@pytest.mark.parametrize("description", DESCRIBED)
def test_every_attribute_says_what_it_means(description: str | None) -> None:
    assert description


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_examples_are_valid(example: dict[str, Any]) -> None:
    base = table(contract="departures")
    if "components" in example:
        QuestDBComponent.model_validate(example["components"]["questdb"])
    elif "view" in example:
        ViewPipeline.model_validate(example)
    elif example.get("kind") == "materialized_view":
        del example["engine"], example["kind"]
        assert not problems(project(base, view(**example)))
    else:
        assert not problems(project(table(**example)))
