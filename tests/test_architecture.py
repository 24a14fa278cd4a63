"""The shape of the code that no linter knows: small modules, and a component is one folder with its docs and tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "thedata_cli"
MODULES = sorted(SOURCE.rglob("*.py"))
COMPONENTS = sorted(path.parent.name for path in (SOURCE / "components").glob("*/component.py"))

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_modules_and_functions_stay_small_enough_to_be_one_thing(module: Path) -> None:
    source = module.read_text()
    assert len(source.splitlines()) <= LONGEST_MODULE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, f"{module}:{node.lineno}: {node.name}"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_says_what_is_in_it(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


def test_vague_names_are_not_used_for_modules() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "handler"}
    assert not [module for module in MODULES if module.stem in vague or module.parent.name in vague]


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_has_its_docs_and_its_tests(component: str) -> None:
    assert (ROOT / "docs" / "components" / f"{component}.md").is_file()
    assert list((ROOT / "tests" / "components" / component).glob("test_*.py"))


HEAVY = ("pydantic", "rich", "nats", "psycopg", "httpx", "clickhouse_connect", "questdb", "chdb", "jinja2", "asyncio")


def test_the_version_is_printed_without_loading_anything_slow() -> None:
    program = (
        "import sys; sys.argv = ['thedata', '--version']\n"
        "from thedata_cli.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["[]"]
