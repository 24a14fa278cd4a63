"""The generated tables of docs/project.md. `python -m tests.project.reference --write` writes them anew."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from thedata_cli.project.blueprints import Manifest, Question
from thedata_cli.project.contract_fields import FORMATS
from thedata_cli.project.model import BatchSettings, FeedSettings, ProjectFile, StreamPipeline, ViewPipeline

PAGE = Path(__file__).parent.parent.parent / "docs" / "project.md"

MODELS: dict[str, type[BaseModel]] = {
    "project": ProjectFile,
    "feed": FeedSettings,
    "pipeline": StreamPipeline,
    "view_pipeline": ViewPipeline,
    "batch": BatchSettings,
    "blueprint": Manifest,
    "question": Question,
}

_MARKED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def render(page: str) -> str:
    """Return the page with every generated table anew."""
    return _MARKED.sub(lambda match: f"{match[1]}{table(match[2])}{match[3]}", page)


def table(name: str) -> str:
    """Return one generated table."""
    if name == "types":
        rows = [
            (f"`{json_type}`", f"`{format_name}`" if format_name else "", f"`{field_type.value}`")
            for json_type, formats in FORMATS.items()
            for format_name, field_type in formats.items()
        ]
        return _table(("type", "format", "column type"), rows)
    fields = MODELS[name].model_fields
    keys = [
        (f"`{key}`", "" if field.is_required() else _default(field.get_default()), field.description or "")
        for key, field in fields.items()
    ]
    return _table(("key", "default", "meaning"), keys)


def _default(value: object) -> str:
    if isinstance(value, BaseModel):
        return "see below"
    if value is None:
        return "none"
    return "empty" if value in ("", (), {}) else f"`{value}`"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(render(PAGE.read_text()))
    else:
        sys.stdout.write(render(PAGE.read_text()))
