"""Reads one file of a project into a document."""

from __future__ import annotations

from pathlib import Path

from thedata_cli.errors import Problem, SourcePosition
from thedata_cli.project.json_documents import parse_json
from thedata_cli.project.nodes import Document, Node, kind_of
from thedata_cli.project.yaml_documents import parse_yaml


def read_text(directory: Path, file: Path, problems: list[Problem]) -> str | None:
    """Return the text of one file, or None after reporting why it cannot be read."""
    try:
        return (directory / file).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line_start = before.rfind(b"\n") + 1
        column = len(before[line_start:].decode("utf-8", "replace")) + 1
        position = SourcePosition(file, before.count(b"\n") + 1, column)
        problems.append(Problem(position, "", "the file is not UTF-8 text", "save it as UTF-8"))
    except OSError as error:
        problems.append(Problem(SourcePosition(file), "", f"cannot be read: {error.strerror}"))
    return None


def read_document(
    directory: Path, file: Path, problems: list[Problem], *, may_be_empty: bool = False
) -> Document | None:
    """Read one YAML or JSON file whose root is a mapping.

    Args:
        directory: Root of the project.
        file: Relative to it; the ending says which language it is.
        problems: Gets every mistake found; a document with duplicate keys is still returned.
        may_be_empty: Whether an empty file means an empty mapping.

    Returns:
        None when there is nothing to work on.
    """
    text = read_text(directory, file, problems)
    if text is None:
        return None
    parse = parse_json if file.suffix == ".json" else parse_yaml
    root = parse(file, text, problems)
    if root is None:
        return None
    if root.value is None:
        if may_be_empty:
            return Document(file, Node(file, 1, 1, {}))
        problems.append(Problem(SourcePosition(file, 1, 1), "", "the file is empty"))
        return None
    if not isinstance(root.value, dict):
        problems.append(
            Problem(root.position, "", f"the file holds {kind_of(root)}", "write a mapping, lines of `key: value`")
        )
        return None
    return Document(file, root)
