"""What pydantic found, in the words of somebody who edits YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from thedata_cli.component_api.declarations import NAME_PATTERN
from thedata_cli.project.nodes import Node, kind_of
from thedata_cli.project.suggestions import suggest

_EXPECTED = {
    "int_type": "write a whole number",
    "int_from_float": "write a whole number",
    "int_parsing": "write a whole number",
    "int_parsing_size": "write a smaller number",
    "float_type": "write a number",
    "float_parsing": "write a number",
    "finite_number": "write a finite number",
    "decimal_type": "write a number",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "list_type": "write a list",
    "tuple_type": "write a list",
    "set_type": "write a list",
    "frozen_set_type": "write a list",
    "dict_type": "write a mapping",
    "mapping_type": "write a mapping",
    "model_type": "write a mapping",
    "model_attributes_type": "write a mapping",
    "datetime_type": "write a time such as 2026-01-31T08:00:00Z",
    "datetime_parsing": "write a time such as 2026-01-31T08:00:00Z",
    "datetime_from_date_parsing": "write a time such as 2026-01-31T08:00:00Z",
    "timezone_aware": "add the offset, such as Z or +01:00",
    "date_type": "write a date such as 2026-01-31",
    "date_parsing": "write a date such as 2026-01-31",
    "date_from_datetime_parsing": "write a date such as 2026-01-31",
    "none_required": "write null",
}

_LIMITS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("gt", "write more than {}"),
    "greater_than_equal": ("ge", "write at least {}"),
    "less_than": ("lt", "write less than {}"),
    "less_than_equal": ("le", "write at most {}"),
    "multiple_of": ("multiple_of", "write a multiple of {}"),
    "string_too_short": ("min_length", "write at least {} character(s)"),
    "string_too_long": ("max_length", "write at most {} character(s)"),
    "too_short": ("min_length", "write {} or more"),
    "too_long": ("max_length", "write {} or fewer"),
}


def describe(detail: ErrorDetails, node: Node | None) -> tuple[str, str]:
    """Return what is wrong, and what would be right.

    Args:
        detail: One error of pydantic.
        node: The value it is about; None for one that is missing.
    """
    kind = detail["type"]
    context: Mapping[str, Any] = detail.get("ctx", {})
    special = _SPECIAL.get(kind)
    if special:
        return special(context, node)
    subject = "the value" if node is None else kind_of(node)
    message = f"{subject} is not allowed here"
    if kind in _EXPECTED:
        return message, _EXPECTED[kind]
    if kind in ("too_short", "too_long"):
        message = f"has too {'few' if kind == 'too_short' else 'many'} values"
    if kind in _LIMITS:
        key, words = _LIMITS[kind]
        return message, words.format(context[key])
    return message, detail["msg"].replace("Input should", "it should")


def _missing(_: Mapping[str, Any], __: Node | None) -> tuple[str, str]:
    return "is missing", ""


def _not_text(_: Mapping[str, Any], node: Node | None) -> tuple[str, str]:
    if node is None or isinstance(node.value, dict | list) or not node.text:
        return f"{kind_of(node) if node else 'the value'} is not allowed here", "write text"
    return f"{kind_of(node)} is not allowed here", f"for text, put it in quotes: {node.text!r}"


def _not_among(context: Mapping[str, Any], node: Node | None) -> tuple[str, str]:
    choices = _choices(str(context["expected"]))
    text = node.text if node else ""
    near = suggest(text, choices) if text else ""
    expected = near if near.startswith("did you mean") else f"write {context['expected'].replace(chr(39), '')}"
    return f"{kind_of(node) if node else 'the value'} is not allowed here", expected


def _choices(listed: str) -> list[str]:
    """Take pydantic's phrase `'a', 'b' or 'c'` apart."""
    return [part.strip().strip("'") for part in listed.replace(" or ", ", ").split(",")]


def _pattern(context: Mapping[str, Any], node: Node | None) -> tuple[str, str]:
    message = f"{kind_of(node) if node else 'the value'} is not allowed here"
    if context["pattern"] == NAME_PATTERN:
        return message, "use letters, digits, `_` and `-`, with a letter or `_` first"
    return message, f"it must match {context['pattern']}"


def _own_words(context: Mapping[str, Any], _: Node | None) -> tuple[str, str]:
    """Pass on what one of our validators said; `wrong; right` becomes its two halves."""
    message, _semicolon, expected = str(context["error"]).partition("; ")
    return message, expected


_SPECIAL: Mapping[str, Callable[[Mapping[str, Any], Node | None], tuple[str, str]]] = {
    "missing": _missing,
    "string_type": _not_text,
    "literal_error": _not_among,
    "enum": _not_among,
    "string_pattern_mismatch": _pattern,
    "value_error": _own_words,
    "assertion_error": _own_words,
}
