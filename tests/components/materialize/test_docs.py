"""The examples of the component's page are a valid project, and the emulator takes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.components.materialize.stack import Stack

from thedata_cli.components.materialize.kinds import KINDS

PAGE = (Path(__file__).parents[3] / "docs" / "components" / "materialize.md").read_text()
EXAMPLES = dict(re.findall(r"^`views/(\w+)\.sql`:\n\n```sql\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))


def test_every_kind_is_explained_and_has_an_example() -> None:
    assert not [kind.name for kind in KINDS if f"`{kind.name}`" not in PAGE]
    keywords = {kind.name.replace("_", " ").upper() for kind in KINDS}
    assert not [words for words in keywords if not any(f"CREATE {words} " in text for text in EXAMPLES.values())]


@pytest.mark.live
async def test_the_examples_are_as_declared_after_apply(stack: Stack) -> None:
    assert len((await stack.apply(EXAMPLES)).changes) == len(EXAMPLES) == 7
    assert [change for change in (await stack.plan(EXAMPLES)).changes] == []


@pytest.mark.live
async def test_every_finding_is_explained(stack: Stack) -> None:
    await stack.apply(EXAMPLES)
    names = {result.name for result in [*await stack.live.check(), *stack.component.check_machine()]}
    assert not [name for name in names if f"`{name}`" not in PAGE]
