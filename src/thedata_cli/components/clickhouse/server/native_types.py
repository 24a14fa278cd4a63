"""ClickHouse's type names read into a tree: `Map(String, Array(UInt8))`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_]\w*)|(?P<quoted>`(?:[^`\\]|\\.|``)*`|\"(?:[^\"\\]|\\.)*\")|(?P<string>'(?:[^'\\]|\\.|'')*')"
    r"|(?P<number>-?\d+(?:\.\d+)?)|(?P<sign>[(),=.]))"
)
_ESCAPE = re.compile(r"\\(.)|``")


@dataclass(frozen=True)
class TypeName:
    """A type, or an argument of one: `Enum8('a' = 1)` has the argument named `'a'`."""

    name: str
    arguments: tuple[TypeName, ...] = ()
    label: str | None = None
    """What stands before the type in a Tuple, a Nested or a JSON: the name of the element or path."""


class UnreadableTypeError(ValueError):
    """The text is not a type name that this reader knows."""


def parse_type(text: str) -> TypeName:
    """Read a type name.

    Example:
        >>> parse_type("Tuple(a UInt8, b Array(String))").arguments[1].label
        'b'
    """
    tokens = _tokenize(text)
    position, parsed = _parse_argument(tokens, 0)
    if position != len(tokens):
        raise UnreadableTypeError(text)
    return parsed


def _tokenize(text: str) -> list[tuple[str, str]]:
    tokens = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found or found.lastgroup is None:
            raise UnreadableTypeError(text)
        tokens.append((found.lastgroup, found[found.lastgroup]))
        position = found.end()
    return tokens


def _parse_argument(tokens: list[tuple[str, str]], position: int) -> tuple[int, TypeName]:
    """One argument: words (the last one is the type, those before it its label), and its own arguments."""
    words: list[str] = []
    arguments: tuple[TypeName, ...] = ()
    while position < len(tokens) and tokens[position][1] not in (",", ")"):
        kind, text = tokens[position]
        if text == "(":
            position, arguments = _parse_arguments(tokens, position + 1)
            continue
        if text == "." and kind == "sign":
            position += 1
            if not words or position == len(tokens):
                raise UnreadableTypeError("a dot without names around it")
            words[-1] += "." + _unquoted(*tokens[position])
        elif text == "=" or kind != "sign":
            words.append(_unquoted(kind, text))
        position += 1
    if not words:
        raise UnreadableTypeError("an argument without a name")
    return position, TypeName(words[-1], arguments, " ".join(words[:-1]) or None)


def _parse_arguments(tokens: list[tuple[str, str]], position: int) -> tuple[int, tuple[TypeName, ...]]:
    arguments = []
    while position < len(tokens) and tokens[position][1] != ")":
        position, argument = _parse_argument(tokens, position)
        arguments.append(argument)
        if position < len(tokens) and tokens[position][1] == ",":
            position += 1
    if position == len(tokens):
        raise UnreadableTypeError("a bracket is not closed")
    return position + 1, tuple(arguments)


def _unquoted(kind: str, text: str) -> str:
    if kind != "quoted":
        return text
    return _ESCAPE.sub(lambda found: found[1] or "`", text[1:-1])
