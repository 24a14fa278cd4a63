"""Whatever stands in the files: a project, or mistakes with places that exist; never a crash."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.project.conftest import BASE, write
from thedata_cli.errors import InvalidProjectError
from thedata_cli.project.load import load_project

TEXTS = {name: dedent(text) for name, text in BASE.items() if isinstance(text, str)}
TEXTS["environments/prod.yaml"] = "components: {nats: {max_payload: 2MB}}\n"
TEXTS["blueprintless.txt"] = ""

SNIPPETS = st.sampled_from(
    ["\t", ":", "- ", "[", "]", "{", "}", "'", '"', "&a ", "*a", "!x ", "<<: ", "? ", "---\n", "...\n", "%", "@", "`",
     "|\n", ">\n", "#", "\n", "\r", "\x00", "\x85", "\u2028", "\ufeff", "é", "😀", "null", "~", "true", "-1", "1e999",
     "9" * 400, ".nan", "x-key: true", "engine: questdb\n", "name: departures\n", "contract: departures\n", ">", "*.*"]
)  # fmt: skip

KEYS = st.sampled_from(["name", "type", "kind", "engine", "columns", "deliver", "enum", "properties", "x"])
WORDS = st.sampled_from(["departures", "questdb/departures", "flights.>", "30d", "2GB", "string", "date-time", "null"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3),
    max_leaves=5,
)


def check(name: str, content: bytes) -> None:
    """Load the base project with one file replaced."""
    with tempfile.TemporaryDirectory() as directory:
        root = write(Path(directory), {**TEXTS, name: content})
        try:
            load_project(root)
        except InvalidProjectError as error:
            for problem in error.problems:
                assert problem.message
                file = root / problem.position.file
                assert file.exists()
                if problem.position.line > 1 and file.is_file():
                    lines = file.read_bytes().decode("utf-8-sig", "replace").splitlines()
                    assert problem.position.line <= len(lines) + 1
                    assert problem.position.column >= 1


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(TEXTS)), st.data())
def test_text_that_was_hurt(name: str, data: st.DataObject) -> None:
    text = TEXTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 10)))
        text = text[:start] + data.draw(SNIPPETS) + text[end:]
    check(name, text.encode())


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(TEXTS)), st.binary(max_size=40))
def test_bytes_that_are_no_text(name: str, content: bytes) -> None:
    check(name, content)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([name for name in sorted(TEXTS) if name.endswith(".yaml")]), st.data())
def test_values_of_any_kind_in_any_place(name: str, data: st.DataObject) -> None:
    tree = yaml.safe_load(TEXTS[name])
    places = list(_places(tree))
    container, key = data.draw(st.sampled_from(places))
    container[key] = data.draw(VALUES)
    check(name, yaml.safe_dump(json.loads(json.dumps(tree)), sort_keys=False, allow_unicode=True).encode())


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a tree where another value could stand."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])
