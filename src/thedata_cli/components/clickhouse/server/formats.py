"""The Content-Type of each of ClickHouse's output formats."""

from __future__ import annotations

_BY_PREFIX = (
    ("JSONEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSONCompactEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSONStringsEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSONCompactStringsEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSON", "application/json; charset=UTF-8"),
    ("CSVWithNames", "text/csv; charset=UTF-8; header=present"),
    ("CSV", "text/csv; charset=UTF-8; header=absent"),
    ("TabSeparated", "text/tab-separated-values; charset=UTF-8"),
    ("TSV", "text/tab-separated-values; charset=UTF-8"),
    ("XML", "application/xml; charset=UTF-8"),
    ("SQLInsert", "text/plain; charset=UTF-8"),
    ("Pretty", "text/plain; charset=UTF-8"),
    ("Vertical", "text/plain; charset=UTF-8"),
    ("Values", "text/plain; charset=UTF-8"),
    ("Markdown", "text/markdown; charset=UTF-8"),
    ("Prometheus", "text/plain; version=0.0.4; charset=UTF-8"),
)


def content_type(output_format: str) -> str:
    """The Content-Type for a format.

    Example:
        >>> content_type("JSONCompact")
        'application/json; charset=UTF-8'
    """
    for prefix, media_type in _BY_PREFIX:
        if output_format.lower().startswith(prefix.lower()):
            return media_type
    return "application/octet-stream"
