"""Sizes, durations and counts as people read them."""

from __future__ import annotations


def bytes_text(size: int) -> str:
    """Return a number of bytes in decimal units, as `component_api/units.py` reads them.

    Example:
        >>> bytes_text(999), bytes_text(1500), bytes_text(2_000_000_000)
        ('999 B', '1.5 kB', '2.0 GB')
    """
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
            break
    return f"{value:.1f} {unit}"


def duration_text(seconds: float) -> str:
    """Return a duration with its two largest units.

    Example:
        >>> duration_text(0.042), duration_text(7.25), duration_text(3725), duration_text(90061)
        ('0.04 s', '7.2 s', '1 h 2 min', '1 d 1 h')
    """
    if seconds < 10:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next(index for index, (amount, _) in enumerate(parts) if amount)
    return " ".join(f"{amount} {unit}" for amount, unit in parts[first : first + 2] if amount)


def count_text(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun.

    Example:
        >>> count_text(1, "row"), count_text(0, "row"), count_text(2, "query", "queries")
        ('1 row', '0 rows', '2 queries')
    """
    return f"{count} {one if count == 1 else many or one + 's'}"
