"""What the user writes about a resource: frozen models, and where in which file each value stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from thedata_cli.errors import Problem, SourcePosition

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]{0,126}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""Letters, digits, `_` and `-`."""


class Model(BaseModel):
    """The base of everything that is read from a project file: frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Declaration(Model):
    """One file that declares one resource."""

    name: Name
    """Name of the resource in its service."""


class SourceDocument(Protocol):
    """One loaded file, able to say where a value stands."""

    @property
    def file(self) -> Path:
        """The file, relative to the project."""

    def position(self, path: Sequence[str | int] = ()) -> SourcePosition:
        """Return where the value at `path` stands; its nearest parent's place when it is not written."""


D = TypeVar("D", bound=Declaration, covariant=True)


@dataclass(frozen=True)
class Declared(Generic[D]):
    """A declaration and the file it came from."""

    model: D
    source: SourceDocument

    @property
    def position(self) -> SourcePosition:
        """Where the declaration begins."""
        return self.source.position()

    def problem(self, path: Sequence[str | int], message: str, expected: str = "") -> Problem:
        """Report a mistake at `path` of this file."""
        return Problem(self.source.position(path), ".".join(map(str, path)), message, expected)


AnyDeclared = Declared[Any]
