"""Generated tables of docs/components/questdb.md; `python -m tests.components.questdb.reference` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from thedata_cli.component_api.contracts import ContractField, FieldType
from thedata_cli.components.questdb.columns import Column, column_of_field
from thedata_cli.components.questdb.component import QuestDBComponent
from thedata_cli.components.questdb.tables import QuestDBMaterializedView, QuestDBTable

PAGE = Path(__file__).parents[3] / "docs" / "components" / "questdb.md"
MODELS: dict[str, type[BaseModel]] = {
    "settings": QuestDBComponent,
    "table": QuestDBTable,
    "column": Column,
    "materialized_view": QuestDBMaterializedView,
}

_MARKED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def render(page: str) -> str:
    """Return the page with every generated table anew."""
    return _MARKED.sub(lambda match: match[1] + "".join(_rows(match[2])) + match[3], page)


def _rows(name: str) -> Iterator[str]:
    if name == "types":
        yield "| field | column | column when it may be null |\n| --- | --- | --- |\n"
        for type_ in FieldType:
            plain = column_of_field(ContractField("f", type_)).type
            yield f"| `{type_}` | `{plain}` | `{column_of_field(ContractField('f', type_, is_nullable=True)).type}` |\n"
        return
    yield "| key | default | meaning |\n| --- | --- | --- |\n"
    for key, field in MODELS[name].model_fields.items():
        default = "" if field.is_required() else _shown(field.get_default(call_default_factory=True))
        yield f"| `{key}` | {default} | {' '.join((field.description or '').split())} |\n"


def _shown(value: object) -> str:
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int) and value and value % 2**20 == 0:
        return f"`{value // 2**20}MiB`"
    return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text()))
