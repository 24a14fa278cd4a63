"""QuestDB's SQL as text: quoting, places in it, and the one spelling that two equal queries share."""

from __future__ import annotations

import re

from thedata_cli.component_api.sql_files import place_of

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)|(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<word>\w+)|(?P<other>.)""",
    re.DOTALL,
)


def identifier(name: str) -> str:
    """Quote a table or column name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a string."""
    return "'" + text.replace("'", "''") + "'"


def plain_query(sql: str) -> str:
    r"""Return a query without comments, spare white space and the semicolon at its end.

    Example:
        >>> plain_query("SELECT  a, -- why\n 'x  y'\nFROM t;")
        "SELECT a, 'x  y' FROM t"
    """
    parts: list[str] = []
    for match in _TOKEN.finditer(sql):
        if not match["space"]:
            parts.append(match[0])
        elif parts and parts[-1] != " ":
            parts.append(" ")
    return "".join(parts).rstrip("; ")


def words(sql: str) -> frozenset[str]:
    """Return every word of a query that could be a column name, lower-cased; strings in single quotes are none."""
    found = set()
    for match in _TOKEN.finditer(sql):
        if match["word"]:
            found.add(match["word"].lower())
        elif match["quoted"] and match["quoted"].startswith('"'):
            found.add(match["quoted"][1:-1].replace('""', '"').lower())
    return frozenset(found)


def place(sql: str, position: int) -> tuple[int, int]:
    r"""Return line and column, from 1, of a character's position, from 1; zeros when it is not in the text.

    Example:
        >>> place("select\n  x y z", 14)
        (2, 7)
    """
    if not 1 <= position <= len(sql) + 1:
        return 0, 0
    return place_of(sql, position - 1)
