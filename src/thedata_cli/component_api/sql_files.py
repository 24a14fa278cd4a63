"""Resources that are declared by the SQL that creates them: one statement a file, and where its parts stand."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from thedata_cli.component_api.declarations import Declaration
from thedata_cli.errors import SourcePosition


class SqlMistakeError(Exception):
    """A file is no declaration.

    Args:
        offset: Index in the file's text of what is wrong.
        message: What is wrong, naming it.
        expected: What would be right; empty when the message already says so.
    """

    def __init__(self, offset: int, message: str, expected: str = "") -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message
        self.expected = expected


class SqlDeclaration(Declaration):
    """One SQL file that declares one resource; name and kind come from its statement."""

    offsets: Mapping[str, int]
    """Part of the statement, such as `name` → index in the file's text; the empty part is the whole statement."""

    @classmethod
    @abstractmethod
    def read(cls, text: str) -> Self:
        """Read the text of a file.

        Raises:
            SqlMistakeError: It is no declaration.
        """


@dataclass(frozen=True)
class SqlDocument:
    """One SQL file; satisfies `SourceDocument`.

    Attributes:
        file: Relative to the project.
        offsets: As in `SqlDeclaration`.
    """

    file: Path
    text: str = field(repr=False)
    offsets: Mapping[str, int] = field(default_factory=dict, repr=False)

    def position(self, path: Sequence[str | int] = ()) -> SourcePosition:
        """Return where a part stands; the statement's place for an unknown one."""
        offset = self.offsets.get(".".join(map(str, path)), self.offsets.get("", 0))
        return SourcePosition(self.file, *place_of(self.text, offset))


def place_of(text: str, offset: int) -> tuple[int, int]:
    r"""Return line and column, both from 1, of an index in a text.

    Example:
        >>> place_of("SELECT\n  nope", 9)
        (2, 3)
    """
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
