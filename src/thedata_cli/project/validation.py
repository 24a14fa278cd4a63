"""Turns a document into a model, and every mistake in it into a problem with its place.

Values are checked as JSON in pydantic's strict mode: `"5"` is no number and `1` is no boolean, while lists and texts
still become tuples, enums and times.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from thedata_cli.errors import Problem
from thedata_cli.project.messages import describe
from thedata_cli.project.nodes import Document
from thedata_cli.project.suggestions import either, suggest

M = TypeVar("M", bound=BaseModel)
Path = tuple[str | int, ...]


def validate(
    model: type[M],
    document: Document,
    problems: list[Problem],
    *,
    path: Path = (),
) -> M | None:
    """Return the value at `path` of a document as a model, or None after reporting every mistake in it.

    Args:
        model: What the value must be.
        document: The file.
        problems: Gets the mistakes.
        path: Where in the document the value stands.
    """
    node = document.node(path)
    data = node.data() if node is not None and node.value is not None else {}
    try:
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        mistakes = [_Mistake.read(document, path, detail) for detail in error.errors(include_url=False)]
        for mistake in _one_branch(_without_consequences(mistakes)):
            problems.append(_problem(model, document, mistake))
        return None


@dataclass(frozen=True)
class _Mistake:
    """One error of pydantic, its location split into keys that are in the document and names of union branches.

    Attributes:
        path: In the document; the last key of a missing one is not there.
        branch_depth: How many keys stand before the first union; -1 when the error is in none.
        branch: Which branch of that union complained.
    """

    path: Path
    location: Path
    branch_depth: int
    branch: str
    detail: ErrorDetails

    @classmethod
    def read(cls, document: Document, prefix: Path, detail: ErrorDetails) -> _Mistake:
        path: Path = prefix
        branch_depth, branch = -1, ""
        location = detail["loc"]
        for index, step in enumerate(location):
            node = document.node(path)
            is_absent_key = detail["type"] == "missing" and index == len(location) - 1
            if is_absent_key or (node is not None and node.child(step) is not None):
                path = (*path, step)
            elif branch_depth < 0 and step != "[key]":
                branch_depth, branch = len(path), str(step)
        return cls(path, location, branch_depth, branch, detail)


def _without_consequences(mistakes: Sequence[_Mistake]) -> list[_Mistake]:
    """Leave out that a list is too short where that is only because of the mistakes in its items."""
    return [
        mistake
        for mistake in mistakes
        if mistake.detail["type"] != "too_short"
        or not any(
            _is_inside(other, mistake.path) and other.path[: len(mistake.path)] == mistake.path for other in mistakes
        )
    ]


def _one_branch(mistakes: Sequence[_Mistake]) -> Iterator[_Mistake | Sequence[_Mistake]]:
    """Keep of each union only the branch that was meant: the one whose errors lie deepest.

    Where no branch was entered at all, its errors stay together as one mistake.
    """
    unions: dict[Path, dict[str, list[_Mistake]]] = {}
    for mistake in mistakes:
        if mistake.branch_depth < 0:
            yield mistake
        else:
            branches = unions.setdefault(mistake.path[: mistake.branch_depth], {})
            branches.setdefault(mistake.branch, []).append(mistake)
    for path, branches in unions.items():
        entered = [errors for errors in branches.values() if any(_is_inside(mistake, path) for mistake in errors)]
        if entered:
            yield from min(entered, key=lambda errors: (_is_without_tag(errors), len(errors)))
        else:
            yield [mistake for errors in branches.values() for mistake in errors]


def _is_inside(mistake: _Mistake, path: Path) -> bool:
    return len(mistake.path) > len(path)


def _is_without_tag(errors: Sequence[_Mistake]) -> bool:
    """Whether a branch names a different fixed value, as in `kind: view`: then it was hardly meant."""
    return any(mistake.detail["type"] == "literal_error" for mistake in errors)


def _problem(
    model: type[BaseModel],
    document: Document,
    mistake: _Mistake | Sequence[_Mistake],
) -> Problem:
    if not isinstance(mistake, _Mistake):
        return _union_problem(document, mistake)
    path, detail = mistake.path, mistake.detail
    dotted = ".".join(map(str, path))
    if detail["type"] == "extra_forbidden":
        known = allowed_keys(model, mistake.location[:-1])
        return Problem(document.key_position(path), dotted, "unknown key", suggest(str(path[-1]), known))
    message, expected = describe(detail, document.node(path))
    is_key = bool(mistake.location) and mistake.location[-1] == "[key]"
    position = document.key_position(path) if is_key else document.position(path)
    return Problem(position, dotted, message, expected)


def _union_problem(document: Document, mistakes: Sequence[_Mistake]) -> Problem:
    """Make one problem of what every branch of a union said about the same value."""
    path = mistakes[0].path
    described = [describe(mistake.detail, document.node(path)) for mistake in mistakes]
    choices = [expected.removeprefix("write ") for _, expected in described if expected]
    near = [choice for choice in choices if choice.startswith("did you mean")]
    expected = near[0] if near else f"write {either(list(dict.fromkeys(choices)))}" if choices else ""
    return Problem(document.position(path), ".".join(map(str, path)), described[0][0], expected)


def allowed_keys(model: type[BaseModel], location: Sequence[str | int]) -> set[str]:
    """Return the keys that a mapping at `location` inside a model may have."""
    types_here: list[Any] = [model]
    for step in location:
        named = [here for here in _flat(types_here) if getattr(here, "__name__", "") == step]
        types_here = named or [below for here in _flat(types_here) for below in _below(here, step)] or types_here
    models = [here for here in _flat(types_here) if _is_model(here)]
    return {field.alias or name for here in models for name, field in here.model_fields.items()}


def _flat(annotations: Iterable[Any]) -> Iterator[Any]:
    """Look through `Annotated` and unions."""
    for annotation in annotations:
        origin = get_origin(annotation)
        if origin is Annotated:
            yield from _flat(get_args(annotation)[:1])
        elif origin in (Union, types.UnionType):
            yield from _flat(get_args(annotation))
        else:
            yield annotation


def _below(annotation: Any, step: str | int) -> Iterator[Any]:
    """Yield the types of what stands under a key or at an index."""
    if _is_model(annotation):
        for name, field in annotation.model_fields.items():
            if step in (name, field.alias):
                yield field.annotation
    elif isinstance(get_origin(annotation), type) and issubclass(get_origin(annotation), Mapping):
        yield from get_args(annotation)[1:]
    elif isinstance(step, int):
        yield from get_args(annotation)[:1]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
