"""Reads one field of a contract."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from thedata_cli.component_api.contracts import ContractField, FieldType
from thedata_cli.errors import Problem
from thedata_cli.project.nodes import Document, Node, kind_of
from thedata_cli.project.suggestions import either, suggest

ANNOTATIONS = frozenset({"title", "description", "$comment", "examples", "deprecated"})
"""Keywords that say something to people and nothing about what a message may hold."""

_MARKS = frozenset({"x-event-time", "x-key", "x-symbol"})
_TEXT = frozenset({"pattern", "minLength", "maxLength"})
_NUMBER = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_VALUES = frozenset({"enum", "const"})
KEYWORDS = frozenset({"type", "format", *ANNOTATIONS, *_MARKS, *_TEXT, *_NUMBER, *_VALUES})

# Known to JSON Schema, so that a person is told "not enforced" and not "unknown".
_NOT_ENFORCED = frozenset(
    {
        "$anchor", "$defs", "$dynamicAnchor", "$dynamicRef", "$ref", "$vocabulary", "allOf", "anyOf", "contains",
        "contentEncoding", "contentMediaType", "contentSchema", "default", "definitions", "dependencies",
        "dependentRequired", "dependentSchemas", "else", "if", "items", "maxContains", "maxItems", "maxProperties",
        "minContains", "minItems", "minProperties", "not", "nullable", "oneOf", "patternProperties", "prefixItems",
        "properties", "propertyNames", "readOnly", "required", "additionalProperties", "then", "unevaluatedItems",
        "unevaluatedProperties", "uniqueItems", "writeOnly",
    }
)  # fmt: skip

FORMATS: Mapping[str, Mapping[str, FieldType]] = {
    "string": {"": FieldType.STRING, "date-time": FieldType.TIMESTAMP, "date": FieldType.DATE, "uuid": FieldType.UUID},
    "integer": {
        "": FieldType.INT64,
        "int8": FieldType.INT8,
        "int16": FieldType.INT16,
        "int32": FieldType.INT32,
        "int64": FieldType.INT64,
    },
    "number": {"": FieldType.FLOAT64, "float": FieldType.FLOAT32, "double": FieldType.FLOAT64},
    "boolean": {"": FieldType.BOOLEAN},
    "object": {"": FieldType.JSON},
    "array": {"": FieldType.JSON},
}
"""JSON type → format → type of the field; the empty format is the default."""

_INTEGERS = {FieldType.INT8: 8, FieldType.INT16: 16, FieldType.INT32: 32, FieldType.INT64: 64}
_FLOATS = (FieldType.FLOAT32, FieldType.FLOAT64)


def unknown_keyword(key: str, known: Collection[str]) -> tuple[str, str]:
    """Say why a keyword is refused, and what would be right."""
    if key == "default":
        return "`default` is not supported", "a missing field is null; leave the keyword out"
    if key in _NOT_ENFORCED:
        return f"`{key}` would not be enforced, so it is refused", "leave it out, or move it to `description`"
    return "unknown keyword", suggest(key, known)


def read_field(document: Document, name: str, *, problems: list[Problem], is_required: bool) -> ContractField:
    """Read one property of a contract; after a mistake the field is only good for finding further ones."""
    return _FieldReader(document, name, problems).read(is_required)


class _FieldReader:
    def __init__(self, document: Document, name: str, problems: list[Problem]) -> None:
        self._document = document
        self._name = name
        self._problems = problems
        self._path = ("properties", name)

    def read(self, is_required: bool) -> ContractField:
        self._check_name()
        node = self._document.node(self._path)
        if node is None or not isinstance(node.value, dict):
            self._report("", f"{kind_of(node) if node else 'nothing'} is not allowed here", "write `{type: …}`")
            return ContractField(self._name, FieldType.STRING, is_required)
        for key, child in node.value.items():
            if key not in KEYWORDS:
                path = ".".join((*self._path, key))
                self._problems.append(Problem(child.key_position, path, *unknown_keyword(key, KEYWORDS)))
        json_type, may_be_null = self._json_type()
        field_type = self._field_type(json_type)
        constraints = self._constraints(field_type)
        enum, enum_has_null = self._enum(field_type, constraints)
        if enum and not enum_has_null:
            may_be_null = False
        return ContractField(
            name=self._name,
            type=field_type,
            is_required=is_required,
            is_nullable=may_be_null or not is_required,
            is_symbol=self._is_symbol(field_type),
            constraints=constraints or None,
            enum=enum,
            description=self._text("description"),
            document="object" if json_type == "object" else "array" if json_type == "array" else None,
        )

    def _node(self, keyword: str) -> Node | None:
        return self._document.node((*self._path, keyword))

    def _report(self, keyword: str, message: str, expected: str = "", *below: int) -> None:
        path = (*self._path, *((keyword,) if keyword else ()), *below)
        self._problems.append(self._document.problem(path, message, expected))

    def _check_name(self) -> None:
        if self._name.startswith("_") or not self._name.strip():
            position = self._document.key_position(self._path)
            message = f"a field cannot be called {self._name!r}"
            expected = "names that begin with `_` are kept for thedata's own columns"
            self._problems.append(Problem(position, ".".join(self._path), message, expected))

    def _json_type(self) -> tuple[str, bool]:
        """Return the JSON type, and whether null is allowed beside it."""
        node = self._node("type")
        if node is None:
            self._report("type", "is missing", f"write {either(list(FORMATS))}")
            return "string", False
        written = node.value if isinstance(node.value, list) else [node]
        names = [item.text for item in written]
        types = [name for name in names if name != "null"]
        if len(types) != 1 or len(names) > 2 or not all(isinstance(item.value, str) for item in written):
            null = any(item.value is None for item in written)
            expected = 'write the null in quotes: `[string, "null"]`' if null else 'write one type, or `[TYPE, "null"]`'
            self._report("type", f"{kind_of(node)} is not allowed here", expected)
            return "string", False
        if types[0] not in FORMATS:
            self._report("type", f"unknown type {types[0]!r}", suggest(types[0], FORMATS))
            return "string", False
        return types[0], len(names) == 2

    def _field_type(self, json_type: str) -> FieldType:
        node = self._node("format")
        formats = FORMATS[json_type]
        name = node.text if node else ""
        if name in formats:
            return formats[name]
        known = [known for known in formats if known]
        message = f"the format {name!r} of {json_type} is not enforced, so it is refused"
        self._report("format", message, suggest(name, known) if known else "leave it out")
        return formats[""]

    def _is_symbol(self, field_type: FieldType) -> bool:
        for mark in sorted(_MARKS):
            node = self._node(mark)
            if node and not isinstance(node.value, bool):
                self._report(mark, f"{kind_of(node)} is not allowed here", "write true or false")
        node = self._node("x-symbol")
        if not node or node.value is not True:
            return False
        if field_type is not FieldType.STRING:
            self._report("x-symbol", f"a {field_type.value} cannot be a symbol", "only plain strings can")
        return True

    def _text(self, keyword: str) -> str:
        node = self._node(keyword)
        if node and not isinstance(node.value, str):
            self._report(keyword, f"{kind_of(node)} is not allowed here", "write text")
        return node.text if node else ""

    def _constraints(self, field_type: FieldType) -> dict[str, Any]:
        constraints: dict[str, Any] = {}
        for keyword in sorted(_TEXT | _NUMBER):
            node = self._node(keyword)
            if node is None:
                continue
            fits = field_type is FieldType.STRING if keyword in _TEXT else self._is_number(field_type)
            if fits:
                self._read_constraint(keyword, node, field_type, constraints)
            else:
                self._report(keyword, f"does not go with a {field_type.value}", "leave it out")
        self._check_range(constraints, "ge", "le", "maximum")
        self._check_range(constraints, "min_length", "max_length", "maxLength")
        return constraints

    @staticmethod
    def _is_number(field_type: FieldType) -> bool:
        return field_type in _INTEGERS or field_type in _FLOATS

    def _read_constraint(self, keyword: str, node: Node, field_type: FieldType, into: dict[str, Any]) -> None:
        if keyword == "pattern":
            self._read_pattern(node, into)
            return
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self._report(keyword, f"{kind_of(node)} is not allowed here", "write a number")
        elif keyword in _TEXT:
            if isinstance(value, int) and value >= 0:
                into["min_length" if keyword == "minLength" else "max_length"] = value
            else:
                self._report(keyword, f"{kind_of(node)} is not allowed here", "write a whole number from 0 up")
        elif keyword == "multipleOf":
            self._read_multiple(node, value, field_type, into)
        elif field_type in _INTEGERS:
            self._read_integer_limit(keyword, value, into)
        else:
            self._read_float_limit(keyword, float(value), into)

    def _read_pattern(self, node: Node, into: dict[str, Any]) -> None:
        try:
            re.compile(node.text)
        except re.error as error:
            self._report("pattern", f"{node.text!r} is no regular expression: {error}")
        else:
            into["pattern"] = node.text

    def _read_multiple(self, node: Node, value: int | float, field_type: FieldType, into: dict[str, Any]) -> None:
        if value <= 0 or (field_type in _INTEGERS and not float(value).is_integer()):
            expected = "write a positive whole number" if field_type in _INTEGERS else "write a positive number"
            self._report("multipleOf", f"{kind_of(node)} is not allowed here", expected)
        else:
            into["multiple_of"] = int(value) if field_type in _INTEGERS else value

    def _read_integer_limit(self, keyword: str, value: int | float, into: dict[str, Any]) -> None:
        """Turn every limit of whole numbers into `ge` and `le`, which the width of the type sets too."""
        if keyword in ("minimum", "exclusiveMinimum"):
            least = math.ceil(value) if keyword == "minimum" else math.floor(value) + 1
            into["ge"] = max(least, into.get("ge", least))
        else:
            most = math.floor(value) if keyword == "maximum" else math.ceil(value) - 1
            into["le"] = min(most, into.get("le", most))

    def _read_float_limit(self, keyword: str, value: float, into: dict[str, Any]) -> None:
        """Keep the tighter of an inclusive and an exclusive limit; the decoder takes one of them."""
        name, other = {
            "minimum": ("ge", "gt"), "exclusiveMinimum": ("gt", "ge"),
            "maximum": ("le", "lt"), "exclusiveMaximum": ("lt", "le"),
        }[keyword]  # fmt: skip
        if other not in into:
            into[name] = value
            return
        is_exclusive = keyword.startswith("exclusive")
        is_tighter = value > into[other] if name in ("ge", "gt") else value < into[other]
        if is_tighter or (is_exclusive and value == into[other]):
            del into[other]
            into[name] = value

    def _check_range(self, constraints: Mapping[str, Any], low: str, high: str, keyword: str) -> None:
        if low in constraints and high in constraints and constraints[low] > constraints[high]:
            message = f"no value is both at least {constraints[low]} and at most {constraints[high]}"
            self._report(keyword if self._node(keyword) else "", message)

    def _enum(self, field_type: FieldType, constraints: Mapping[str, Any]) -> tuple[tuple[Any, ...], bool]:
        """Return the allowed values, and whether null is among them."""
        keyword = "const" if self._node("const") else "enum"
        node = self._node(keyword)
        if node is None:
            return (), False
        if keyword == "const" and self._node("enum"):
            self._report("enum", "does not go with `const`", "write one of them")
        if field_type is not FieldType.STRING and field_type not in _INTEGERS:
            self._report(keyword, f"does not go with a {field_type.value}", "only plain strings and integers take it")
            return (), False
        if keyword == "enum" and (not isinstance(node.value, list) or not node.value):
            self._report("enum", f"{kind_of(node)} is not allowed here", "write a list of values")
            return (), False
        items = node.value if isinstance(node.value, list) else [node]
        values: list[Any] = []
        for index, item in enumerate(items):
            below = (index,) if keyword == "enum" else ()
            if item.value in values:
                self._report(keyword, f"{item.text} is written twice", "", *below)
            elif item.value is not None and not self._fits(item.value, field_type, constraints):
                self._report(keyword, f"{kind_of(item)} does not fit the field", "", *below)
            else:
                values.append(item.value)
        if values == [None]:
            self._report(keyword, "allows nothing but null", "write a list of values")
        return tuple(value for value in values if value is not None), None in values

    @staticmethod
    def _fits(value: Any, field_type: FieldType, constraints: Mapping[str, Any]) -> bool:
        if field_type is FieldType.STRING:
            if not isinstance(value, str) or not re.search(constraints.get("pattern", ""), value):
                return False
            return bool(constraints.get("min_length", 0) <= len(value) <= constraints.get("max_length", math.inf))
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        limit = 2 ** (_INTEGERS[field_type] - 1)
        low: int = max(constraints.get("ge", -limit), -limit)
        high: int = min(constraints.get("le", limit - 1), limit - 1)
        return low <= value <= high and value % int(constraints.get("multiple_of", 1)) == 0
