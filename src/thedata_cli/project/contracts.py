"""Reads contracts: the part of JSON Schema that is enforced on every message. What is not enforced is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from thedata_cli.component_api.contracts import Contract, ContractField, FieldType
from thedata_cli.component_api.subjects import check_subject
from thedata_cli.errors import Problem
from thedata_cli.project.contract_fields import ANNOTATIONS, read_field, unknown_keyword
from thedata_cli.project.documents import read_document
from thedata_cli.project.nodes import Document, Node, kind_of
from thedata_cli.project.suggestions import suggest

_KEYWORDS = frozenset(
    {"$schema", "$id", "x-subject", "type", "properties", "required", "additionalProperties", *ANNOTATIONS}
)


def read_contract(directory: Path, file: Path, problems: list[Problem]) -> Contract | None:
    """Read one contract, or return None after reporting every mistake in it.

    Args:
        directory: Root of the project.
        file: Relative to it; its name without the ending is the contract's name.
        problems: Gets the mistakes.
    """
    before = len(problems)
    document = read_document(directory, file, problems)
    if document is None:
        return None
    contract = _ContractReader(document, problems).read(file.stem)
    return contract if len(problems) == before else None


class _ContractReader:
    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self._document = document
        self._problems = problems

    def read(self, name: str) -> Contract:
        self._check_keywords()
        required = self._required()
        fields = tuple(
            read_field(self._document, key, problems=self._problems, is_required=key in required)
            for key in self._properties()
        )
        return Contract(
            name=name,
            subject=self._subject(),
            fields=fields,
            event_time=self._event_time(fields),
            key=self._key(fields),
            allows_unknown_fields=self._allows_unknown_fields(),
        )

    def _report(self, path: tuple[str | int, ...], message: str, expected: str = "") -> None:
        self._problems.append(self._document.problem(path, message, expected))

    def _check_keywords(self) -> None:
        root = self._document.root.value
        assert isinstance(root, dict)
        for key in root:
            if key not in _KEYWORDS:
                position = self._document.key_position((key,))
                self._problems.append(Problem(position, key, *unknown_keyword(key, _KEYWORDS)))
        node = self._document.node(("type",))
        if node is None:
            self._report(("type",), "is missing", "write `type: object`")
        elif node.value != "object":
            self._report(("type",), f"{kind_of(node)} is not allowed here", "a message is an object: write `object`")

    def _subject(self) -> str:
        node = self._document.node(("x-subject",))
        if node is None or not isinstance(node.value, str):
            self._report(("x-subject",), "is missing", "write the subject of the messages, such as `flights.>`")
            return ""
        try:
            return check_subject(node.value)
        except ValueError as error:
            message, _, expected = str(error).partition("; ")
            self._report(("x-subject",), message, expected)
            return ""

    def _properties(self) -> Mapping[str, Node]:
        node = self._document.node(("properties",))
        if node is None or not node.value:
            self._report(("properties",), "is missing", "write the fields of a message, at least one")
            return {}
        if not isinstance(node.value, dict):
            self._report(("properties",), f"{kind_of(node)} is not allowed here", "write a mapping of fields")
            return {}
        return node.value

    def _required(self) -> frozenset[str]:
        node = self._document.node(("required",))
        if node is None:
            return frozenset()
        if not isinstance(node.value, list):
            self._report(("required",), f"{kind_of(node)} is not allowed here", "write a list of field names")
            return frozenset()
        properties = self._document.node(("properties",))
        known = properties.value if properties and isinstance(properties.value, dict) else {}
        names: set[str] = set()
        for index, item in enumerate(node.value):
            if not isinstance(item.value, str) or item.value not in known:
                self._report(("required", index), f"unknown field {item.text!r}", suggest(item.text, known))
            elif item.value in names:
                self._report(("required", index), f"{item.text!r} is written twice")
            else:
                names.add(item.value)
        return frozenset(names)

    def _event_time(self, fields: tuple[ContractField, ...]) -> str:
        marked = [field for field in fields if self._is_marked(field, "x-event-time")]
        for field in marked:
            path = ("properties", field.name, "x-event-time")
            if field.type is not FieldType.TIMESTAMP or not field.is_required or field.is_nullable:
                self._report(
                    path,
                    f"{field.name!r} cannot be the event time",
                    "the event time is a required string with `format: date-time` that is never null",
                )
            if field is not marked[0]:
                self._report(path, f"a second event time; the first is {marked[0].name!r}", "mark one field only")
        return marked[0].name if marked else ""

    def _key(self, fields: tuple[ContractField, ...]) -> tuple[str, ...]:
        key = [field for field in fields if self._is_marked(field, "x-key")]
        for field in key:
            if not field.is_required or field.is_nullable or field.type is FieldType.JSON:
                self._report(
                    ("properties", field.name, "x-key"),
                    f"{field.name!r} cannot be part of the key",
                    "a key field is required, never null, and no object or array",
                )
        return tuple(field.name for field in key)

    def _is_marked(self, field: ContractField, keyword: str) -> bool:
        node = self._document.node(("properties", field.name, keyword))
        return node is not None and node.value is True

    def _allows_unknown_fields(self) -> bool:
        node = self._document.node(("additionalProperties",))
        if node is None:
            return True
        if not isinstance(node.value, bool):
            self._report(("additionalProperties",), f"{kind_of(node)} is not allowed here", "write true or false")
            return True
        return node.value
