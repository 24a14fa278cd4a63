"""The JSON Schema of contracts, which are JSON Schemas themselves: the keywords that are enforced, and no others."""

from __future__ import annotations

from typing import Any

from thedata_cli.project.contract_fields import FORMATS

_BOOLEAN = {"type": "boolean"}
_COUNT = {"type": "integer", "minimum": 0}


def contract_schema() -> dict[str, Any]:
    """Return the schema of `contracts/*.yaml`."""
    return {
        "title": "Contract",
        "description": "The schema of the messages of one subject. Its name is the file's name without the ending.",
        "type": "object",
        "properties": {
            "$schema": {"type": "string"},
            "$id": {"type": "string"},
            **_annotations(),
            "x-subject": {
                "type": "string",
                "minLength": 1,
                "description": "Subject of the messages; `*` stands for one token, a last `>` for all that follow.",
            },
            "type": {"const": "object", "description": "A message is one JSON object."},
            "properties": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": "^[^_]"},
                "additionalProperties": {"$ref": "#/$defs/Field"},
                "description": "The fields of a message, in the order that their columns get.",
            },
            "required": {
                "type": "array",
                "items": {"type": "string"},
                "uniqueItems": True,
                "description": "Fields that every message has; the others may be missing or null.",
            },
            "additionalProperties": {
                "type": "boolean",
                "default": True,
                "description": "Whether further fields are allowed; they are dropped.",
            },
        },
        "required": ["x-subject", "type", "properties"],
        "additionalProperties": False,
        "$defs": {"Field": _field()},
    }


def _annotations() -> dict[str, Any]:
    text = {"type": "string"}
    return {"title": text, "description": text, "$comment": text, "examples": {"type": "array"}, "deprecated": _BOOLEAN}


def _field() -> dict[str, Any]:
    types = list(FORMATS)
    formats = [name for names in FORMATS.values() for name in names if name]
    return {
        "type": "object",
        "properties": {
            **_annotations(),
            "type": {
                "description": 'Type of the value; `[TYPE, "null"]` also allows null.',
                "anyOf": [
                    {"enum": types},
                    {"type": "array", "items": {"enum": [*types, "null"]}, "minItems": 1, "maxItems": 2},
                ],
            },
            "format": {"enum": formats, "description": "Narrows the type, and so chooses the column's."},
            "enum": {"type": "array", "minItems": 1, "description": "The allowed strings or integers."},
            "const": {"description": "The only allowed string or integer."},
            "minimum": {"type": "number"},
            "maximum": {"type": "number"},
            "exclusiveMinimum": {"type": "number"},
            "exclusiveMaximum": {"type": "number"},
            "multipleOf": {"type": "number", "exclusiveMinimum": 0},
            "pattern": {"type": "string", "format": "regex"},
            "minLength": _COUNT,
            "maxLength": _COUNT,
            "x-event-time": {**_BOOLEAN, "description": "This field says when the event happened."},
            "x-key": {**_BOOLEAN, "description": "This field is part of what identifies an event."},
            "x-symbol": {**_BOOLEAN, "description": "Few distinct values: SYMBOL, LowCardinality."},
        },
        "required": ["type"],
        "additionalProperties": False,
        "allOf": [_formats_of(name, [*known]) for name, known in FORMATS.items()],
    }


def _formats_of(json_type: str, formats: list[str]) -> dict[str, Any]:
    """Allow only the formats of one type."""
    named = [name for name in formats if name]
    is_type = {"anyOf": [{"const": json_type}, {"type": "array", "contains": {"const": json_type}}]}
    allowed: dict[str, Any] = (
        {"properties": {"format": {"enum": named}}} if named else {"not": {"required": ["format"]}}
    )
    return {"if": {"properties": {"type": is_type}, "required": ["type"]}, "then": allowed}
