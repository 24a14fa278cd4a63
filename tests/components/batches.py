"""Batches of messages as writers get them, and the values that their rows must have once stored."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Sequence
from typing import Any

from thedata_cli.component_api.contracts import Contract, FieldType
from thedata_cli.component_api.live import Batch


def batch_of(contract: Contract, messages: Sequence[Any], *, first: int = 1, again: bool = False) -> Batch:
    """Return messages as a batch; every other one is pure ASCII, as some clients write them."""
    rows = []
    for sequence, message in enumerate(messages, first):
        row = contract.decoder.decode(json.dumps(message, ensure_ascii=sequence % 2 == 0).encode())
        row.sequence = sequence
        rows.append(row)
    return Batch(contract, rows, [row.sequence for row in rows] if again else ())


def value_of(kind: FieldType, value: Any) -> Any:
    """Return the Python object that a query gives for a value of a message."""
    if value is None:
        return None
    if kind is FieldType.DATE:
        return datetime.date.fromisoformat(value)
    if kind is FieldType.TIMESTAMP:
        return datetime.datetime.fromisoformat(value).astimezone(datetime.UTC)
    return uuid.UUID(value) if kind is FieldType.UUID else value
