"""The formats of `thedata query`, by themselves, because the help needs them and nothing else."""

from __future__ import annotations

from enum import StrEnum


class RowFormat(StrEnum):
    """How the rows of a result are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    MARKDOWN = "markdown"
    PARQUET = "parquet"
