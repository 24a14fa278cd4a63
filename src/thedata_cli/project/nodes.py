"""Trees in which every value knows its place in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from thedata_cli.errors import Problem, SourcePosition

Scalar: TypeAlias = "str | int | float | bool | None"

MAX_DEPTH = 60


@dataclass(slots=True)
class Node:
    """One value of a document.

    Attributes:
        value: A scalar, a dict of nodes, or a list of nodes.
        text: A scalar as it is written; empty for the others.
        key_line: Line of the key that the value stands under in a mapping, with its column; 0 elsewhere.
        size: How many nodes it holds, itself included.
    """

    file: Path
    line: int
    column: int
    value: Scalar | dict[str, Node] | list[Node]
    text: str = ""
    key_line: int = 0
    key_column: int = 0
    size: int = 1

    @property
    def position(self) -> SourcePosition:
        """Where the value begins."""
        return SourcePosition(self.file, self.line, self.column)

    @property
    def key_position(self) -> SourcePosition:
        """Where its key begins; the value's place when it has none."""
        if not self.key_line:
            return self.position
        return SourcePosition(self.file, self.key_line, self.key_column)

    def child(self, step: str | int) -> Node | None:
        """Return the value under a key or at an index, or None."""
        if isinstance(self.value, dict):
            return self.value.get(str(step))
        if isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            return self.value[step]
        return None

    def data(self) -> Any:
        """Return the plain value, without positions."""
        if isinstance(self.value, dict):
            return {key: node.data() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.data() for node in self.value]
        return self.value


@dataclass(frozen=True)
class Document:
    """One loaded file; satisfies `component_api.declarations.SourceDocument`.

    Attributes:
        file: Relative to the project.
        root: Always a mapping.
    """

    file: Path
    root: Node = field(repr=False)

    def node(self, path: Sequence[str | int] = ()) -> Node | None:
        """Return the value at `path`, or None where nothing is written."""
        node: Node | None = self.root
        for step in path:
            node = node.child(step) if node else None
        return node

    def position(self, path: Sequence[str | int] = ()) -> SourcePosition:
        """Return where the value at `path` stands; its nearest parent's place when it is not written."""
        node = self.root
        for step in path:
            below = node.child(step)
            if below is None:
                break
            node = below
        return node.position

    def key_position(self, path: Sequence[str | int]) -> SourcePosition:
        """Return where the key at `path` stands, for mistakes in the key itself."""
        node = self.node(path)
        return node.key_position if node else self.position(path)

    def problem(self, path: Sequence[str | int], message: str, expected: str = "") -> Problem:
        """Report a mistake in the value at `path`."""
        return Problem(self.position(path), ".".join(map(str, path)), message, expected)


def kind_of(node: Node) -> str:
    """Name what a value is, for a person.

    Example:
        >>> kind_of(Node(Path("f"), 1, 1, 3, "3"))
        'the number 3'
    """
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    if node.value is None:
        return "nothing" if not node.text else f"{node.text} (null)"
    if isinstance(node.value, bool):
        return node.text
    if isinstance(node.value, int | float):
        return f"the number {node.text}"
    return f"the text {node.value!r}"


def merge(base: Node, overlay: Node) -> Node:
    """Lay one tree over another: mappings merge, all else is replaced, null removes; every value keeps its place."""
    if not isinstance(overlay.value, dict):
        return overlay
    if not isinstance(base.value, dict):
        base = replace(overlay, value={})
    merged = dict(base.value) if isinstance(base.value, dict) else {}
    for key, node in overlay.value.items():
        if node.value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged[key] if key in merged else replace(node, value=None), node)
    return replace(base, value=merged)
