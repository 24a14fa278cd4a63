"""YAML files as trees in which every value knows its place.

Scalars follow the core schema of YAML 1.2: `yes`, `012` and `2024-01-01` are what they look like, not a boolean, an
octal number and a date. Read with libyaml's event parser, because a project of some hundred files is read by every
command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from thedata_cli.errors import Problem, SourcePosition
from thedata_cli.project.nodes import MAX_DEPTH, Node, Scalar

MAX_NODES = 200_000
"""Aliases can make a small file describe an endless tree."""


def parse_yaml(file: Path, text: str, problems: list[Problem]) -> Node | None:
    """Return the tree of a YAML text; None when it is broken, a null node when it is empty."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(file, yaml.parse(text, Loader=loader), problems).build()
    except _BrokenYamlError as error:
        problems.append(error.problem)
    except yaml.MarkedYAMLError as error:
        problems.append(_syntax_problem(file, text, error))
    except yaml.YAMLError:
        problems.append(_control_character(file, text))
    return None


class _BrokenYamlError(Exception):
    """The text is YAML, but not the part of it that a project may use."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _Builder:
    """Builds the tree from parser events."""

    def __init__(self, file: Path, events: Iterator[Any], problems: list[Problem]) -> None:
        self._file = file
        self._events = events
        self._problems = problems
        self._anchors: dict[str, Node | None] = {}
        self._nodes = 0

    def build(self) -> Node:
        import yaml

        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise self._broken(event, "a second document begins here", "write one document per file, without `---`")
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event, 0)
        return root or Node(self._file, 1, 1, None)

    def _node(self, event: Any, depth: int) -> Node:
        import yaml

        if depth > MAX_DEPTH:
            raise self._broken(event, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.anchor:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(event, depth)
        else:
            node = self._sequence(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            raise self._broken(event, f"*{event.anchor} names no anchor before it", f"write &{event.anchor} at a value")
        node = self._anchors[event.anchor]
        if node is None:
            raise self._broken(event, f"*{event.anchor} stands inside itself")
        self._count(event, node.size)
        return node

    def _scalar(self, event: Any) -> Node:
        self._count(event, 1)
        self._refuse_tag(event)
        value = resolve_scalar(event.value) if event.implicit[0] else event.value
        mark = event.start_mark
        return Node(self._file, mark.line + 1, mark.column + 1, value, event.value)

    def _mapping(self, event: Any, depth: int) -> Node:
        import yaml

        self._count(event, 1)
        self._refuse_tag(event)
        children: dict[str, Node] = {}
        size = 1
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise self._broken(key, "a key must be plain text")
            mark: Any = key.start_mark
            if key.value == "<<" and key.implicit[0]:
                raise self._broken(key, "merge keys (`<<`) are not supported", "write the keys out")
            node = replace(
                self._node(next(self._events), depth + 1), key_line=mark.line + 1, key_column=mark.column + 1
            )
            size += node.size
            if key.value in children:
                first = children[key.value].key_line
                self._problems.append(
                    Problem(node.key_position, key.value, f"the key is written twice; first in line {first}")
                )
            else:
                children[key.value] = node
        begin = event.start_mark
        return Node(self._file, begin.line + 1, begin.column + 1, children, size=size)

    def _sequence(self, event: Any, depth: int) -> Node:
        import yaml

        self._count(event, 1)
        self._refuse_tag(event)
        children: list[Node] = []
        while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
            children.append(self._node(item, depth + 1))
        mark = event.start_mark
        size = 1 + sum(node.size for node in children)
        return Node(self._file, mark.line + 1, mark.column + 1, children, size=size)

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self._broken(event, f"the file describes more than {MAX_NODES} values")

    def _refuse_tag(self, event: Any) -> None:
        if event.tag and event.tag not in ("!", "tag:yaml.org,2002:str"):
            raise self._broken(event, f"the tag {event.tag} is not supported", "write a plain value")

    def _broken(self, event: Any, message: str, expected: str = "") -> _BrokenYamlError:
        position = SourcePosition(self._file, event.start_mark.line + 1, event.start_mark.column + 1)
        return _BrokenYamlError(Problem(position, "", message, expected))


_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_WORDS: dict[str, Scalar] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".nan": float("nan"), ".NaN": float("nan"), ".NAN": float("nan"),
}  # fmt: skip


def resolve_scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar by the core schema of YAML 1.2.

    Example:
        >>> [resolve_scalar(text) for text in ("yes", "012", "0x1F", "1e3", "~", "2024-01-01")]
        ['yes', 12, 31, 1000.0, None, '2024-01-01']
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else _decimal(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if infinite := _INFINITE.fullmatch(text):
        return float(f"{infinite[1]}inf")
    return text


def _decimal(text: str) -> int | float:
    """Return an integer; beyond 4,000 digits Python refuses, and no field takes such a number anyway."""
    return int(text) if len(text) < 4000 else float("inf")


def _syntax_problem(file: Path, text: str, error: Any) -> Problem:
    """Say in words what the parser did not understand."""
    mark = error.problem_mark or error.context_mark
    position = SourcePosition(file, mark.line + 1, mark.column + 1)
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return Problem(position, "", "a tab indents this line", "YAML wants spaces")
    if "mapping values are not allowed" in error.problem:
        return Problem(position, "", "a `:` is not allowed here", "quote the text, or put the key on a line of its own")
    context = ""
    if error.context and error.context_mark:
        context = f", {error.context} that begins in line {error.context_mark.line + 1}"
    return Problem(position, "", f"not valid YAML: {error.problem}{context}")


_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _control_character(file: Path, text: str) -> Problem:
    """Find the character that YAML does not allow."""
    found = _CONTROL.search(text)
    if not found:
        return Problem(SourcePosition(file, 1, 1), "", "not valid YAML")
    before = text[: found.start()]
    position = SourcePosition(file, before.count("\n") + 1, found.start() - before.rfind("\n"))
    return Problem(position, "", f"the control character {found[0]!r} is not allowed", "remove it, or escape it")
