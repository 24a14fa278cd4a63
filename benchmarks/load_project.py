"""How long a project of 200 resources takes to load, against reading the same files with the plain YAML parser."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from benchmarks._timing import compare, figure
from thedata_cli.project.load import load_project

RUNS = 9
LOAD = "import sys, pathlib; from thedata_cli.project.load import load_project as load; load(pathlib.Path({!r}))"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        project = write_project(Path(directory), tables=50)
        files = sorted(project.rglob("*.yaml"))
        value = _median_ms(lambda: load_project(project))
        peer = _median_ms(lambda: [yaml.load(file.read_bytes(), yaml.CSafeLoader) for file in files])
        whole = compare(
            "load 200 resources, start of Python included",
            [sys.executable, "-c", LOAD.format(str(project))],
            "import pydantic",
            [sys.executable, "-c", "from pydantic import BaseModel"],
            runs=RUNS,
        )
    print(json.dumps([figure("load 200 resources", "ms", value, "parse the same YAML", peer), whole]))


def write_project(root: Path, *, tables: int) -> Path:
    """Write a project of four resources for each of a number of streams: stream, two tables, pipeline."""
    files = {"thedata.yaml": "name: big\ncomponents: {nats: {}, questdb: {}, clickhouse: {}}\n"}
    for index in range(tables):
        name = f"events{index}"
        files[f"contracts/{name}.yaml"] = CONTRACT.format(name=name)
        files[f"streams/{name}.yaml"] = f"name: {name}\nsubjects: [{name}.>]\nmax_age: 30d\nmax_bytes: 200MB\n"
        files[f"tables/q/{name}.yaml"] = f"engine: questdb\nname: {name}\ncontract: {name}\npartition_by: month\n"
        files[f"tables/c/{name}.yaml"] = f"engine: clickhouse\nname: {name}\ncontract: {name}\n"
        tables_of_it = f"[questdb/{name}, clickhouse/{name}]"
        files[f"pipelines/{name}.yaml"] = f"name: {name}\nstream: {name}\ntables: {tables_of_it}\n"
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


CONTRACT = """\
x-subject: {name}.>
type: object
properties:
  at: {{type: string, format: date-time, x-event-time: true, x-key: true}}
  code: {{type: string, x-key: true, x-symbol: true, maxLength: 8}}
  count: {{type: [integer, "null"], format: int32, minimum: 0}}
  ratio: {{type: number}}
required: [at, code]
additionalProperties: false
"""


def _median_ms(run: Callable[[], Any]) -> float:
    run()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    main()
