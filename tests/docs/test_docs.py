"""Documentation that cannot rot: what is generated is up to date, and commands and errors have their place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import thedata_cli.errors
from tests.docs import cli_reference

DOCS = Path(__file__).parent.parent.parent / "docs"
README = DOCS.parent / "README.md"


def test_the_command_reference_is_what_the_commands_say() -> None:
    assert cli_reference.REFERENCE.read_text() == cli_reference.render(), "run `make docs`"


@pytest.mark.parametrize("words", list(cli_reference.commands())[1:], ids=" ".join)
def test_every_command_shows_an_example(words: tuple[str, ...]) -> None:
    section = cli_reference.REFERENCE.read_text().split(f"## thedata {' '.join(words)}\n")[1].split("\n## ")[0]
    assert "Example" in section or "COMMAND" in section


def test_every_error_code_is_documented() -> None:
    codes = {
        error.code
        for error in vars(thedata_cli.errors).values()
        if isinstance(error, type) and issubclass(error, thedata_cli.errors.TheDataError)
    }
    assert not {code for code in codes if f"`{code}`" not in (DOCS / "errors.md").read_text()}


@pytest.mark.parametrize("page", [README, *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|mailto:|#)([^)#\s]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
