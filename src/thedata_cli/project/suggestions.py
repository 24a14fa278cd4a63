"""What would be right instead of a name that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

_LISTED = 12


def suggest(word: str, known: Iterable[str]) -> str:
    """Return what to write instead of `word`: the nearest known name, else all of them.

    Example:
        >>> suggest("enigne", ["engine", "name"])
        "did you mean 'engine'?"
        >>> suggest("xyz", ["engine", "name"])
        'known: engine, name'
    """
    names = sorted(set(known))
    folded = {name.casefold(): name for name in names}
    near = get_close_matches(word.casefold(), folded, n=1, cutoff=0.65)
    if near:
        return f"did you mean {folded[near[0]]!r}?"
    if not names:
        return "there is none yet"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"known: {', '.join(names[:_LISTED])}{more}"


def either(choices: Sequence[str]) -> str:
    """Return the choices as one phrase.

    Example:
        >>> either(["a", "b", "c"]), either(["a"])
        ('a, b or c', 'a')
    """
    if len(choices) < 2:
        return "".join(choices)
    return f"{', '.join(choices[:-1])} or {choices[-1]}"
