"""A small project with streaming SQL in its middle, up and applied; the tests of one process share it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cli.conftest import running_project, thedata, write_files
from thedata_cli.component_api.live import CanQuery
from thedata_cli.project.load import load_project
from thedata_cli.stack.live_stack import connect
from thedata_cli.targets.choose import choose_target

FILES: Mapping[str, str] = {
    "thedata.yaml": "name: sensors\ncomponents: {nats: {}, materialize: {}, questdb: {}, clickhouse: {}}\n",
    "contracts/readings.yaml": """\
x-subject: readings.>
type: object
properties:
  at: {type: string, format: date-time, x-event-time: true, x-key: true}
  sensor: {type: string, x-key: true}
  number: {type: integer, format: int32}
required: [at, sensor, number]
additionalProperties: false
""",
    "streams/readings.yaml": "name: readings\nsubjects: [readings.>]\n",
    "pipelines/readings.yaml": """\
name: readings
stream: readings
tables: [clickhouse/readings]
sources: [materialize/readings_raw]
""",
    "pipelines/totals.yaml": """\
name: totals
view: materialize/totals
key: [hour, sensor]
tables: [questdb/totals, clickhouse/totals]
""",
    "pipelines/shares.yaml": """\
name: shares
view: materialize/shares
key: [sensor]
tables: [clickhouse/shares]
""",
    "tables/readings.yaml": "engine: clickhouse\nname: readings\ncontract: readings\n",
    "tables/totals_clickhouse.yaml": """\
engine: clickhouse
name: totals
columns:
  - {name: hour, type: "DateTime64(6, 'UTC')"}
  - {name: sensor, type: String}
  - {name: readings, type: Int64}
  - {name: total, type: Int64}
""",
    "tables/totals_questdb.yaml": """\
engine: questdb
name: totals
timestamp: hour
columns:
  - {name: hour, type: TIMESTAMP}
  - {name: sensor, type: SYMBOL}
  - {name: readings, type: LONG}
  - {name: total, type: LONG}
""",
    "tables/shares.yaml": """\
engine: clickhouse
name: shares
columns:
  - {name: sensor, type: String}
  - {name: share, type: Int64}
""",
    "views/webhook_key.sql": "CREATE SECRET webhook_key AS :'webhook_key';\n",
    "views/readings_raw.sql": """\
CREATE SOURCE readings_raw FROM WEBHOOK BODY FORMAT JSON
  CHECK (
    WITH (HEADERS, BODY AS body, SECRET webhook_key AS key)
    constant_time_eq(decode(headers->'x-signature', 'base64'), hmac(body, key, 'sha256'))
  );
""",
    "views/readings.sql": """\
CREATE MATERIALIZED VIEW readings AS
SELECT DISTINCT ON (at, sensor)
    (body->>'at')::timestamptz AS at, body->>'sensor' AS sensor, (body->>'number')::int AS number,
    (body->>'_sequence')::bigint AS sequence
FROM readings_raw
ORDER BY at, sensor, sequence DESC;
""",
    "views/totals.sql": """\
CREATE MATERIALIZED VIEW totals AS
SELECT date_trunc('hour', at) AS hour, sensor, count(*) AS readings, sum(number) AS total
FROM readings
GROUP BY date_trunc('hour', at), sensor
HAVING sum(number) > 0;
""",
    "views/shares.sql": """\
CREATE MATERIALIZED VIEW shares AS
SELECT sensor, sum(100 / number) AS share
FROM readings
WHERE sensor LIKE 'share-%'
GROUP BY sensor;
""",
}

TOTALS = {
    "materialize": "SELECT hour, sensor, readings, total FROM totals",
    "questdb": "SELECT hour, sensor, readings, total FROM totals WHERE NOT _deleted",
    "clickhouse": "SELECT hour, sensor, readings, total FROM totals FINAL",
}


class Sensors:
    """The running project."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *arguments: str, stdin: str | None = None, code: int = 0) -> str:
        """Run the program in the project; return what it printed, both streams."""
        done = thedata(*arguments, cwd=self.directory, stdin=stdin)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def publish(self, readings: Sequence[tuple[str, int, int]]) -> None:
        """Publish readings of sensor, minute of the day, number."""
        lines = [
            json.dumps({"at": at(minute), "sensor": sensor, "number": number}) for sensor, minute, number in readings
        ]
        self.run("stream", "pub", "readings", "--subject", "readings.all", stdin="\n".join(lines) + "\n")

    def rows(self, engine: str, sql: str) -> list[tuple[Any, ...]]:
        """Return the result of a query, sorted; numbers as whole numbers, times in UTC."""
        return asyncio.run(self._rows(engine, sql))

    async def _rows(self, engine: str, sql: str) -> list[tuple[Any, ...]]:
        project = load_project(self.directory)
        endpoints = choose_target(project).endpoints()
        async with (
            connect(project.name, project.components, endpoints, only=[engine]) as live,
            live.with_ability(CanQuery, key=engine).query(sql) as result,
        ):
            return sorted([tuple(map(_plain, row)) async for rows in result.blocks() for row in rows])

    def eventually(self, condition: Callable[[], bool], *, within_s: float = 40.0) -> None:
        """Wait until it holds; else fail with what the platform says about itself."""
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                doctor = thedata("doctor", cwd=self.directory)
                raise AssertionError(f"it never came to this; the doctor says:\n{doctor.stdout}{doctor.stderr}")
            time.sleep(0.05)

    def follow(self, *, within_s: float = 40.0) -> None:
        """Wait until both tables are equal to the view."""

        def is_equal() -> bool:
            view = self.rows("materialize", TOTALS["materialize"])
            return all(self.rows(engine, TOTALS[engine]) == view for engine in ("questdb", "clickhouse"))

        self.eventually(is_equal, within_s=within_s)

    def process_of(self, service: str) -> psutil.Process:
        """Return the running process of a service."""
        word = {"worker": "worker", "materialize": "materialize.emulator", "questdb": "io.questdb"}[service]
        (found,) = [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(word in part for part in process.info["cmdline"] or ())
            and any(str(self.directory) in part for part in process.info["cmdline"] or ())
        ]
        return found


def at(minute: int) -> str:
    """Return a time of the first of January 2026."""
    return datetime.fromtimestamp(1767225600 + 60 * minute, UTC).isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    """Engines have types of their own for the same value."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return int(value) if isinstance(value, Decimal | float) else value


@pytest.fixture(scope="session")
def sensors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sensors]:
    with running_project(write_files(tmp_path_factory.mktemp("streaming") / "sensors", FILES)) as directory:
        yield Sensors(directory)
