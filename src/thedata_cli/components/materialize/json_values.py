"""JSON text as values that are equal where Materialize holds one value: it spells numbers and objects its own way."""

from __future__ import annotations

import json
from decimal import Context
from typing import Any

_DIGITS = 38
"""Significant ones, of a number; Materialize keeps 39, and the last may be rounded."""


def comparable(text: str) -> Any:
    r"""Return the value of a JSON text.

    Example:
        >>> comparable('{"a": 1e2, "b": [0.10]}') == comparable('{"b": [0.1], "a": 100}')
        True
    """
    return json.loads(text, parse_float=_number, parse_int=_number)


_number = Context(prec=_DIGITS).create_decimal
