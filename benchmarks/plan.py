"""A plan that finds nothing to do, of a project with 200 resources on three engines."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._timing import figure, seconds

RUNS = 7
PROMISED_MS = 2000.0
STREAMS, QUESTDB_TABLES, CLICKHOUSE_TABLES = 80, 40, 80

CONTRACT = """\
x-subject: readings.>
type: object
properties:
  at: {type: string, format: date-time, x-event-time: true, x-key: true}
  sensor: {type: string, x-key: true, x-symbol: true}
  value: {type: number}
  note: {type: [string, "null"]}
required: [at, sensor, value]
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        project = Path(directory) / "large"
        write_project(project)
        thedata = [sys.executable, "-m", "thedata_cli"]
        where = ["--project", str(project)]
        subprocess.run([*thedata, "up", "--quiet", *where], check=True, stdout=subprocess.DEVNULL)
        try:
            plan = [*thedata, "plan", "--exit-code", *where]
            check = [*thedata, "check", *where]
            pairs = [(seconds(plan), seconds(check)) for _ in range(RUNS)]
        finally:
            subprocess.run([*thedata, "down", "--quiet", *where], check=True, stdout=subprocess.DEVNULL)
    value, floor = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
    figures = [
        figure("no-op plan of 200 resources", "ms", value, "promise", PROMISED_MS),
        figure("no-op plan of 200 resources", "ms", value, "`thedata check` of the same project", floor),
    ]
    print(json.dumps(figures))


def write_project(project: Path) -> None:
    for name in ("contracts", "streams", "tables"):
        (project / name).mkdir(parents=True)
    components = "components:\n  nats: {}\n  questdb: {}\n  clickhouse: {database: large}\n"
    (project / "thedata.yaml").write_text(f"name: large\n{components}")
    (project / "contracts" / "readings.yaml").write_text(CONTRACT)
    for number in range(STREAMS):
        text = f"name: stream_{number}\nsubjects: [readings.{number}.>]\nmax_age: 7d\nmax_bytes: 10MB\n"
        (project / "streams" / f"{number}.yaml").write_text(text)
    for engine, count in (("questdb", QUESTDB_TABLES), ("clickhouse", CLICKHOUSE_TABLES)):
        for number in range(count):
            text = f"engine: {engine}\nname: table_{number}\ncontract: readings\n"
            text += "ttl: at + INTERVAL 30 DAY\n" if engine == "clickhouse" else "ttl: 30d\n"
            (project / "tables" / f"{engine}_{number}.yaml").write_text(text)


if __name__ == "__main__":
    main()
