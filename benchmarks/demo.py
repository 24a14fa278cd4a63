"""The whole demo: 336,776 departures and their weather into two stores, from an empty directory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._timing import figure

RUNS = 3
PROMISED_S = 45.0


def main() -> None:
    reports = [run() for _ in range(RUNS)]
    whole = statistics.median(report["whole_s"] for report in reports)
    rate = statistics.median(report["rows_per_s"] for report in reports)
    start = statistics.median(report["seconds"]["start"] for report in reports)
    figures = [
        figure("the whole demo", "s", whole, "promise", PROMISED_S),
        figure("demo: start of the stack", "s", start, "the whole demo", whole),
        figure(
            "demo: rows into tables", "rows/s", rate, "one row of each table a message, in 45 s", 730_578 / PROMISED_S
        ),
    ]
    print(json.dumps(figures))


def run() -> dict[str, Any]:
    """Run the demo once in a new directory and return its report."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "thedata_cli", "demo", "--stop", "--output", "json"]
        command += ["--dir", str(Path(directory) / "flights")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    report["whole_s"] = sum(seconds for phase, seconds in report["seconds"].items() if phase != "load")
    return report


if __name__ == "__main__":
    main()
