"""JSON files as trees in which every value knows its place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from thedata_cli.errors import Problem, SourcePosition
from thedata_cli.project.nodes import MAX_DEPTH, Node

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+)')


def parse_json(file: Path, text: str, problems: list[Problem]) -> Node | None:
    """Return the tree of a JSON text; None when it is broken, a null node when it is empty."""
    if not text.strip():
        return Node(file, 1, 1, None)
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        position = SourcePosition(file, error.lineno, error.colno)
        problems.append(Problem(position, "", f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"))
        return None
    except (ValueError, RecursionError) as error:
        problems.append(Problem(SourcePosition(file, 1, 1), "", f"not valid JSON: {error}"))
        return None
    return _JsonTree(file, text, problems).build()


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


class _JsonTree:
    """Walks the tokens of a text that is known to be valid JSON."""

    def __init__(self, file: Path, text: str, problems: list[Problem]) -> None:
        self._file = file
        self._text = text
        self._problems = problems
        self._offset = 0
        self._line = 1
        self._line_start = 0

    def build(self) -> Node | None:
        try:
            return self._value(*self._next(), depth=0)
        except _TooDeepError as error:
            self._problems.append(Problem(error.position, "", f"nested more than {MAX_DEPTH} levels deep"))
            return None

    def _next(self) -> tuple[str, SourcePosition]:
        match = _TOKEN.match(self._text, self._offset)
        if match is None:
            raise AssertionError(f"no JSON token at {self._offset} of {self._file}, although it parses")
        start = match.start(1)
        self._line += self._text.count("\n", self._offset, start)
        self._line_start = self._text.rfind("\n", 0, start) + 1
        self._offset = match.end()
        return match[1], SourcePosition(self._file, self._line, start - self._line_start + 1)

    def _value(self, token: str, position: SourcePosition, *, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise _TooDeepError(position)
        if token == "{":
            return self._node(position, self._object(depth))
        if token == "[":
            return self._node(position, self._array(depth))
        value = json.loads(token)
        return self._node(position, value, value if isinstance(value, str) else token)

    def _node(self, position: SourcePosition, value: Any, text: str = "") -> Node:
        return Node(self._file, position.line, position.column, value, text)

    def _object(self, depth: int) -> dict[str, Node]:
        children: dict[str, Node] = {}
        token, position = self._next()
        while token != "}":
            key = json.loads(token)
            self._next()
            node = self._value(*self._next(), depth=depth + 1)
            node.key_line, node.key_column = position.line, position.column
            if key in children:
                first = children[key].key_line
                self._problems.append(Problem(position, key, f"the key is written twice; first in line {first}"))
            else:
                children[key] = node
            token, position = self._next()
            if token == ",":
                token, position = self._next()
        return children

    def _array(self, depth: int) -> list[Node]:
        children: list[Node] = []
        token, position = self._next()
        while token != "]":
            children.append(self._value(token, position, depth=depth + 1))
            token, position = self._next()
            if token == ",":
                token, position = self._next()
        return children


class _TooDeepError(Exception):
    def __init__(self, position: SourcePosition) -> None:
        super().__init__(str(position))
        self.position = position
