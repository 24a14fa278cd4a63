"""The generated tables of docs/components/nats.md. `python -m tests.components.nats.reference` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from thedata_cli.components.nats.component import NatsComponent
from thedata_cli.components.nats.streams import Consumer, Stream

PAGE = Path(__file__).parents[3] / "docs" / "components" / "nats.md"
MODELS: dict[str, type[BaseModel]] = {"settings": NatsComponent, "stream": Stream, "consumer": Consumer}

_MARKED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def render(page: str) -> str:
    """Return the page with every generated table anew."""
    return _MARKED.sub(lambda match: match[1] + "".join(_rows(MODELS[match[2]])) + match[3], page)


def _rows(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | default | meaning |\n| --- | --- | --- |\n"
    for key, field in model.model_fields.items():
        default = "" if field.is_required() else _shown(field.get_default(call_default_factory=True))
        yield f"| `{key}` | {default} | {field.description} |\n"


def _shown(value: object) -> str:
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}s`"
    for unit, size in (("GB", 10**9), ("MiB", 2**20)):
        if isinstance(value, int) and value and value % size == 0:
            return f"`{value // size}{unit}`"
    return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text()))
