"""Run every benchmark, or those named, and write one JSON file and one Markdown table."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main() -> None:
    names = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*names, []], help="benchmarks to run; all of them when none is named"
    )
    wanted = parser.parse_args().names or names
    figures: list[dict[str, Any]] = []
    for name in wanted:
        print(f"{name} …", file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, check=False, cwd=HERE.parent
        )
        if done.returncode != 0:
            sys.exit(f"benchmarks.{name} failed with exit code {done.returncode}")
        figures += [{"benchmark": name, **figure} for figure in json.loads(done.stdout)]
    report = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, "
        f"Python {platform.python_version()}",
        "figures": figures,
    }
    (HERE / "results.json").write_text(json.dumps(report, indent=2) + "\n")
    (HERE / "results.md").write_text(as_markdown(report))
    print(as_markdown(report))


def as_markdown(report: dict[str, Any]) -> str:
    lines = [
        "# Benchmarks",
        "",
        f"{report['machine']}; {report['date']}. Written by `make bench`; medians of several runs.",
        "",
        "| benchmark | figure | value | peer or floor | its value | ratio |",
        "|---|---|---:|---|---:|---:|",
    ]
    for figure in report["figures"]:
        unit = figure["unit"]
        lines.append(
            f"| {figure['benchmark']} | {figure['name']} | {_number(figure['value'])} {unit} | {figure['peer']} "
            f"| {_number(figure['peer_value'])} {unit} | {figure['ratio']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
