"""YAML and JSON files: every value is what it looks like, and knows its place."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from thedata_cli.errors import Problem
from thedata_cli.project.documents import read_document
from thedata_cli.project.json_documents import parse_json
from thedata_cli.project.nodes import Node, merge
from thedata_cli.project.yaml_documents import MAX_NODES, parse_yaml

FILE = Path("a.yaml")

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
TREES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXT, below, max_size=4), max_leaves=12
)


def parse(text: str) -> Node:
    problems: list[Problem] = []
    root = parse_yaml(FILE, text, problems)
    assert root is not None
    assert problems == []
    return root


def complain(text: str) -> list[str]:
    problems: list[Problem] = []
    parse_yaml(FILE, text, problems)
    return [str(problem) for problem in problems]


@settings(deadline=None)
@given(TREES)
def test_every_tree_survives_json(tree: Any) -> None:
    problems: list[Problem] = []
    for indent in (None, 2, "\t"):
        root = parse_json(FILE, json.dumps(tree, indent=indent, ensure_ascii=indent == 2), problems)
        assert root is not None
        assert root.data() == tree
    assert problems == []


def scalars(node: Node) -> list[Node]:
    if isinstance(node.value, dict):
        return [leaf for child in node.value.values() for leaf in scalars(child)]
    if isinstance(node.value, list):
        return [leaf for child in node.value for leaf in scalars(child)]
    return [node]


@settings(deadline=None)
@given(TREES)
def test_positions_in_json_point_at_the_value(tree: Any) -> None:
    text = json.dumps(tree, indent=1, ensure_ascii=False)
    root = parse_json(FILE, text, [])
    assert root is not None
    lines = text.split("\n")
    for node in scalars(root):
        written = json.dumps(node.value, ensure_ascii=False)
        assert lines[node.line - 1][node.column - 1 :].startswith(written)


@settings(deadline=None)
@given(TREES)
def test_every_tree_survives_yaml_and_positions_point_at_the_value(tree: Any) -> None:
    # JSON is YAML: quoted texts on one line, so that the place of each can be checked.
    text = json.dumps(tree, ensure_ascii=False).replace("\x7f", "\\u007f")
    root = parse(text)
    assert root.data() == tree
    for node in scalars(root):
        assert root.line == 1
        assert text[node.column - 1 :].startswith(json.dumps(node.value, ensure_ascii=False)[:1])


class QuotingDumper(yaml.SafeDumper):
    """Quotes every text: what PyYAML leaves bare by YAML 1.1 may be a number by YAML 1.2."""


QuotingDumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


@settings(deadline=None)
@given(TREES)
def test_block_style_means_the_same(tree: Any) -> None:
    text = yaml.dump({"tree": tree}, Dumper=QuotingDumper, allow_unicode=True, sort_keys=False)
    assert parse(text).data()["tree"] == tree


def test_the_pure_python_parser_sees_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a:\n  b: [1, 'x', \"y\", ~, yes]\n  c: |\n    text\n    more\n"
    fast = parse(text)
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert parse(text) == fast


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("012", 12), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"),
        ("1e3", 1000.0), (".5", 0.5), ("2024-01-01", "2024-01-01"), ("1:30", "1:30"), ("~", None), ("null", None),
        ("", None), ("true", True), ("'true'", "true"), ("!!str 5", "5"), ("-.inf", -math.inf), ("9" * 5000, math.inf),
    ],
)  # fmt: skip
def test_scalars_are_what_they_look_like(text: str, value: object) -> None:
    assert parse(f"a: {text}").data() == {"a": value}


def test_an_alias_stands_for_its_value() -> None:
    root = parse("a: &x {b: 1}\nc: *x\n")
    assert root.data() == {"a": {"b": 1}, "c": {"b": 1}}
    child = root.child("c")
    assert child is not None
    assert (str(child.position), str(child.key_position)) == ("a.yaml:1:4", "a.yaml:2:1")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\na: 2\n", "a.yaml:2:1: a: the key is written twice; first in line 1"),
        ("a:\n\tb: 1\n", "a.yaml:2:1: a tab indents this line; YAML wants spaces"),
        ("a: b: c\n", "a.yaml:1:5: a `:` is not allowed here; quote the text, or put the key on a line of its own"),
        ("a: [1, 2\nb: 3\n", "a.yaml:2:2: not valid YAML: did not find expected ',' or ']', "
         "while parsing a flow sequence that begins in line 1"),
        ("a: 'x\n", "a.yaml:2:1: not valid YAML: found unexpected end of stream, "
         "while scanning a quoted scalar that begins in line 1"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2:1: a second document begins here; write one document per file, without `---`"),
        ("a: *x\n", "a.yaml:1:4: *x names no anchor before it; write &x at a value"),
        ("a: &x [*x]\n", "a.yaml:1:8: *x stands inside itself"),
        ("<<: {a: 1}\n", "a.yaml:1:1: merge keys (`<<`) are not supported; write the keys out"),
        ("a: !danger x\n", "a.yaml:1:4: the tag !danger is not supported; write a plain value"),
        ("? [1]\n: 2\n", "a.yaml:1:3: a key must be plain text"),
        ("a: x\x01y\n", "a.yaml:1:5: the control character '\\x01' is not allowed; remove it, or escape it"),
        ("[" * 100 + "]" * 100, "a.yaml:1:62: nested more than 60 levels deep"),
    ],
)  # fmt: skip
def test_broken_yaml_is_explained(text: str, complaint: str) -> None:
    assert complain(text) == [complaint]


def test_aliases_cannot_make_an_endless_tree() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    [complaint] = complain("\n".join(lines))
    assert complaint.endswith(f"the file describes more than {MAX_NODES} values")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "a.yaml:1:1: the file is empty"),
        (b"# only a comment\n", "a.yaml:1:1: the file is empty"),
        (b"- a\n- b\n", "a.yaml:1:1: the file holds a list; write a mapping, lines of `key: value`"),
        (b"hello\n", "a.yaml:1:1: the file holds the text 'hello'; write a mapping, lines of `key: value`"),
        ("a: ä\nb: é".encode("latin-1"), "a.yaml:1:4: the file is not UTF-8 text; save it as UTF-8"),
    ],
)
def test_a_file_that_holds_no_mapping(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    problems: list[Problem] = []
    assert read_document(tmp_path, FILE, problems) is None
    assert [str(problem) for problem in problems] == [complaint]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1,\n "a": 2}', "a.json:2:2: a: the key is written twice; first in line 1"),
        ('{"a": }', "a.json:1:7: not valid JSON: expecting value"),
        ('{"a": NaN}', "a.json:1:1: not valid JSON: NaN is no JSON number"),
        ("[" * 100 + "]" * 100, "a.json:1:62: nested more than 60 levels deep"),
        ("[" * 100_000, "a.json:1:1: not valid JSON"),
    ],
)
def test_broken_json_is_explained(text: str, complaint: str) -> None:
    problems: list[Problem] = []
    parse_json(Path("a.json"), text, problems)
    assert [str(problem)[: len(complaint)] for problem in problems] == [complaint]


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    document = read_document(tmp_path, FILE, [])
    assert document is not None
    assert (document.root.data(), str(document.position(("a",)))) == ({"a": 1}, "a.yaml:1:4")


def test_a_place_that_is_not_written_is_its_parents(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("columns:\n  - name: x\n")
    document = read_document(tmp_path, FILE, [])
    assert document is not None
    assert str(document.position(("columns", 0, "type", "x"))) == "a.yaml:2:5"
    assert str(document.position(("columns", 3))) == "a.yaml:2:3"


KEYS = st.sampled_from("abc")
LISTS = st.lists(st.integers(0, 9), max_size=2)
OVERLAYS = st.recursive(
    st.none() | st.integers(0, 9), lambda below: st.dictionaries(KEYS, below, max_size=3) | LISTS, max_leaves=8
)
MAPPINGS = st.dictionaries(KEYS, OVERLAYS)


def merge_patch(base: Any, patch: Any) -> Any:
    """RFC 7396, as its own pseudocode says it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


@settings(deadline=None)
@given(MAPPINGS, MAPPINGS)
def test_an_overlay_is_a_merge_patch(base: Any, overlay: Any) -> None:
    merged = merge(parse(json.dumps(base)), parse(json.dumps(overlay)))
    assert merged.data() == merge_patch(base, overlay)
