"""Contracts: what is enforced is read, what is not is refused, and the decoder accepts what the schema accepts."""

# ruff: noqa: E501 (a case is one line: what is written, and what is said)

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thedata_cli.component_api.contracts import Contract, FieldType
from thedata_cli.errors import Problem
from thedata_cli.project.contract_fields import FORMATS
from thedata_cli.project.contract_schema import contract_schema
from thedata_cli.project.contracts import read_contract

HEAD = "x-subject: a.b\ntype: object\n"


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], tuple[Contract | None, list[str]]]:
    def read(text: str) -> tuple[Contract | None, list[str]]:
        (tmp_path / "contracts").mkdir(exist_ok=True)
        (tmp_path / "contracts" / "c.yaml").write_text(text)
        problems: list[Problem] = []
        contract = read_contract(tmp_path, Path("contracts/c.yaml"), problems)
        return contract, [str(problem).removeprefix("contracts/c.yaml:") for problem in sorted(problems)]

    return read


Read = Callable[[str], tuple[Contract | None, list[str]]]


def test_every_type_and_format(read: Read) -> None:
    lines = [
        f"  f{index}: {{type: {name}{f', format: {format_name}' if format_name else ''}}}"
        for index, (name, format_name) in enumerate(
            (name, format_name) for name, formats in FORMATS.items() for format_name in formats
        )
    ]
    contract, problems = read(HEAD + "properties:\n" + "\n".join(lines))
    assert problems == []
    assert contract is not None
    assert [field.type for field in contract.fields] == [
        kind for formats in FORMATS.values() for kind in formats.values()
    ]
    assert {field.type for field in contract.fields} == set(FieldType)


def test_annotations_and_limits(read: Read) -> None:
    contract, problems = read(
        dedent(
            """\
            x-subject: flights.>
            type: object
            properties:
              at: {type: string, format: date-time, x-event-time: true, x-key: true}
              code: {type: string, x-key: true, x-symbol: true, pattern: "^[A-Z]+$", minLength: 2, maxLength: 3}
              count: {type: [integer, "null"], format: int8, exclusiveMinimum: 0, maximum: 10.5, multipleOf: 2}
              ratio: {type: number, minimum: 0, exclusiveMaximum: 1, description: A share}
              state: {type: string, enum: [open, closed]}
              one: {const: 1, type: integer}
              maybe: {type: [string, "null"], enum: [a, null]}
            required: [at, code, ratio, state, one, maybe]
            """
        )
    )
    assert problems == []
    assert contract is not None
    assert (contract.subject, contract.event_time, contract.key) == ("flights.>", "at", ("at", "code"))
    assert contract.allows_unknown_fields
    fields = {field.name: field for field in contract.fields}
    assert fields["code"].is_symbol
    assert fields["code"].constraints == {"pattern": "^[A-Z]+$", "min_length": 2, "max_length": 3}
    assert fields["count"].constraints == {"ge": 1, "le": 10, "multiple_of": 2}
    assert (fields["count"].is_required, fields["count"].is_nullable) == (False, True)
    assert fields["ratio"].constraints == {"ge": 0.0, "lt": 1.0}
    assert fields["ratio"].description == "A share"
    assert (fields["state"].enum, fields["one"].enum) == (("open", "closed"), (1,))
    assert (fields["maybe"].enum, fields["maybe"].is_nullable) == (("a",), True)


MISTAKES = [
    ("type: object\nproperties: {a: {type: string}}\n", "1:1: x-subject: is missing; write the subject of the messages, such as `flights.>`"),
    ("x-subject: a..b\ntype: object\nproperties: {a: {type: string}}\n", "1:12: x-subject: 'a..b' has an empty token; write tokens between single dots, as in `flights.*.>`"),
    ("x-subject: a\ntype: array\nproperties: {a: {type: string}}\n", "2:7: type: the text 'array' is not allowed here; a message is an object: write `object`"),
    (HEAD, "1:1: properties: is missing; write the fields of a message, at least one"),
    (HEAD + "properties: {a: {type: string}}\nrequire: [a]\n", "4:1: require: unknown keyword; did you mean 'required'?"),
    (HEAD + "properties: {a: {type: string}}\noneOf: []\n", "4:1: oneOf: `oneOf` would not be enforced, so it is refused; leave it out, or move it to `description`"),
    (HEAD + "properties: {a: {type: string}}\nrequired: [a, b]\n", "4:15: required.1: unknown field 'b'; known: a"),
    (HEAD + "properties: {a: {type: string}}\nadditionalProperties: no\n", "4:23: additionalProperties: the text 'no' is not allowed here; write true or false"),
    (HEAD + "properties:\n  a: {type: sting}\n", "4:13: properties.a.type: unknown type 'sting'; did you mean 'string'?"),
    (HEAD + "properties:\n  a: {}\n", "4:6: properties.a.type: is missing; write string, integer, number, boolean, object or array"),
    (HEAD + "properties:\n  a: {type: [string, null]}\n", '4:13: properties.a.type: a list is not allowed here; write the null in quotes: `[string, "null"]`'),
    (HEAD + "properties:\n  a: {type: [string, integer]}\n", '4:13: properties.a.type: a list is not allowed here; write one type, or `[TYPE, "null"]`'),
    (HEAD + "properties:\n  a: {type: string, format: datetime}\n", "4:29: properties.a.format: the format 'datetime' of string is not enforced, so it is refused; did you mean 'date-time'?"),
    (HEAD + "properties:\n  a: {type: boolean, format: x}\n", "4:30: properties.a.format: the format 'x' of boolean is not enforced, so it is refused; leave it out"),
    (HEAD + "properties:\n  a: {type: string, default: x}\n", "4:21: properties.a.default: `default` is not supported; a missing field is null; leave the keyword out"),
    (HEAD + "properties:\n  a: {type: object, properties: {}}\n", "4:21: properties.a.properties: `properties` would not be enforced, so it is refused; leave it out, or move it to `description`"),
    (HEAD + "properties:\n  a: {type: string, patern: x}\n", "4:21: properties.a.patern: unknown keyword; did you mean 'pattern'?"),
    (HEAD + "properties:\n  a: {type: string, minimum: 1}\n", "4:30: properties.a.minimum: does not go with a string; leave it out"),
    (HEAD + "properties:\n  a: {type: integer, minimum: x}\n", "4:31: properties.a.minimum: the text 'x' is not allowed here; write a number"),
    (HEAD + "properties:\n  a: {type: integer, minimum: 5, maximum: 4}\n", "4:43: properties.a.maximum: no value is both at least 5 and at most 4"),
    (HEAD + "properties:\n  a: {type: integer, multipleOf: 0.5}\n", "4:34: properties.a.multipleOf: the number 0.5 is not allowed here; write a positive whole number"),
    (HEAD + "properties:\n  a: {type: string, minLength: -1}\n", "4:32: properties.a.minLength: the number -1 is not allowed here; write a whole number from 0 up"),
    (HEAD + "properties:\n  a: {type: string, pattern: '['}\n", "4:30: properties.a.pattern: '[' is no regular expression: unterminated character set at position 0"),
    (HEAD + "properties:\n  a: {type: integer, format: int8, enum: [1, 200]}\n", "4:46: properties.a.enum.1: the number 200 does not fit the field"),
    (HEAD + "properties:\n  a: {type: string, enum: [x, x]}\n", "4:31: properties.a.enum.1: x is written twice"),
    (HEAD + "properties:\n  a: {type: number, enum: [1]}\n", "4:27: properties.a.enum: does not go with a float64; only plain strings and integers take it"),
    (HEAD + "properties:\n  a: {type: string, enum: []}\n", "4:27: properties.a.enum: a list is not allowed here; write a list of values"),
    (HEAD + "properties:\n  a: {type: string, enum: [null]}\n", "4:27: properties.a.enum: allows nothing but null; write a list of values"),
    (HEAD + "properties:\n  _a: {type: string}\n", "4:3: properties._a: a field cannot be called '_a'; names that begin with `_` are kept for thedata's own columns"),
    (HEAD + "properties:\n  a: string\n", "4:6: properties.a: the text 'string' is not allowed here; write `{type: …}`"),
    (HEAD + "properties:\n  a: {type: integer, x-symbol: true}\n", "4:32: properties.a.x-symbol: a int64 cannot be a symbol; only plain strings can"),
    (HEAD + "properties:\n  a: {type: string, x-key: yes}\nrequired: [a]\n", "4:28: properties.a.x-key: the text 'yes' is not allowed here; write true or false"),
    (HEAD + "properties:\n  a: {type: string, x-key: true}\n", "4:28: properties.a.x-key: 'a' cannot be part of the key; a key field is required, never null, and no object or array"),
    (HEAD + "properties:\n  a: {type: string, x-event-time: true}\nrequired: [a]\n", "4:35: properties.a.x-event-time: 'a' cannot be the event time; the event time is a required string with `format: date-time` that is never null"),
    (HEAD + "properties:\n  a: {type: string, format: date-time, x-event-time: true}\n  b: {type: string, format: date-time, x-event-time: true}\nrequired: [a, b]\n", "5:54: properties.b.x-event-time: a second event time; the first is 'a'; mark one field only"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "complaint"), MISTAKES)
def test_a_mistake_is_named_with_its_place(read: Read, text: str, complaint: str) -> None:
    assert read(text) == (None, [complaint])


def test_every_mistake_is_named(read: Read) -> None:
    _, complaints = read("typ: object\nproperties:\n  a: {type: sting}\n  b: {minimum: 1, type: boolean}\n")
    assert [complaint.split(": ")[0] for complaint in complaints] == ["1:1", "1:1", "1:1", "3:13", "4:16"]


JSON_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "AB", "ABCD", "2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00"]),
    st.uuids().map(str), st.just({"x": 1}), st.just([1, 2]),
)  # fmt: skip

LIMITS = st.integers(-5, 5) | st.sampled_from([-1.5, 0.5, 2.5])


@st.composite
def field_schemas(draw: st.DrawFn) -> dict[str, Any]:
    """A field with limits that go with its type."""
    json_type = draw(st.sampled_from(["string", "integer", "number", "boolean", "object", "array"]))
    schema: dict[str, Any] = {"type": [json_type, "null"] if draw(st.booleans()) else json_type}
    if json_type in ("integer", "number"):
        for keyword in draw(st.sets(st.sampled_from(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]))):
            schema[keyword] = draw(LIMITS)
        if draw(st.booleans()):
            schema["multipleOf"] = draw(st.integers(1, 3))
    if json_type == "string":
        for keyword in draw(st.sets(st.sampled_from(["minLength", "maxLength"]))):
            schema[keyword] = draw(st.integers(0, 4))
        if draw(st.booleans()):
            schema["pattern"] = draw(st.sampled_from(["^[A-Z]*$", "A", "^a?$"]))
    return schema


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(field_schemas(), JSON_VALUES)
def test_the_decoder_agrees_with_json_schema(read: Read, field: dict[str, Any], value: Any) -> None:
    schema = {"type": "object", "properties": {"f": field}, "required": ["f"]}
    contract, problems = read(json.dumps({"x-subject": "a", **schema}))
    if contract is None:
        assert all(re.search("no value is both", problem) for problem in problems)
        return
    is_whole = isinstance(value, float) and value.is_integer()
    is_beyond_64_bits = isinstance(value, int | float) and "integer" in field["type"] and not -(2**63) <= value < 2**63
    if (is_whole and "integer" in field["type"]) or is_beyond_64_bits or _is_beyond_floats(value):
        return
    is_valid = jsonschema.Draft202012Validator(schema).is_valid({"f": value})
    try:
        contract.decoder.decode(json.dumps({"f": value}).encode())
    except ValueError:
        assert not is_valid
    else:
        assert is_valid


def _is_beyond_floats(value: Any) -> bool:
    """Whether JSON Schema would compute a multiple beyond the numbers that a float holds exactly."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.fabs(value) >= 2**53


@pytest.mark.parametrize(("text", "complaint"), MISTAKES)
def test_the_schema_of_contracts_is_no_stricter_than_the_reader(read: Read, text: str, complaint: str) -> None:
    import yaml

    jsonschema.Draft202012Validator.check_schema(contract_schema())
    good = {"x-subject": "a", "type": "object", "properties": {"a": {"type": ["string", "null"], "format": "date"}}}
    assert jsonschema.Draft202012Validator(contract_schema()).is_valid(good)
    if "unknown" in complaint or "is missing" in complaint or "refused" in complaint or "default" in complaint:
        is_valid = jsonschema.Draft202012Validator(contract_schema()).is_valid(yaml.safe_load(text))
        assert is_valid == ("unknown field" in complaint)
