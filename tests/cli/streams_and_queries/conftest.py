"""A small project, up, with real NATS, ClickHouse and QuestDB."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.cli.conftest import clean_environment, running_project, thedata, write_files
from thedata_cli.cli.commands import app

Run = Callable[..., subprocess.CompletedProcess[str]]
RunInside = Callable[..., Result]

FILES = {
    "thedata.yaml": """\
name: small
components: {nats: {}, clickhouse: {}, questdb: {}}
feeds:
  departures: {stream: departures, subject: "flights.departures.{origin}", command: [python, none.py]}
""",
    "contracts/departures.yaml": """\
x-subject: flights.departures.>
type: object
properties:
  scheduled_at: {type: string, format: date-time, x-event-time: true, x-key: true}
  flight: {type: integer, format: int32, x-key: true}
  origin: {type: string}
  delay: {type: [integer, "null"]}
required: [scheduled_at, flight, origin]
additionalProperties: false
""",
    "streams/departures.yaml": "name: departures\nsubjects: [flights.departures.>]\n",
    "streams/notes.yaml": "name: notes\nsubjects: [notes]\n",
    "streams/places.yaml": "name: places\nsubjects: [places.*]\n",
    "queries/squares.sql": """\
-- engine: clickhouse
-- chart: bar x=name y=square
SELECT concat('n', toString(number)) AS name, number * number AS square FROM numbers(4);
""",
    "queries/broken.sql": "-- engine: clickhouse\nSELECT 1,\n  2 FROM numbers(3) WHERE (\n",
    "queries/wrong.sql": "-- engine: questdb\nSELECT x\nFROM long_sequence(3)\nWHERE nothing = 1\n",
}


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_project(write_files(tmp_path_factory.mktemp("streams_and_queries") / "small", FILES)) as directory:
        yield directory


@pytest.fixture
def run(project: Path) -> Run:
    """Run the program in the project, to its end."""

    def _run(*arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
        return thedata(*arguments, cwd=project, **options)  # type: ignore[arg-type]

    return _run


@pytest.fixture
def run_inside(project: Path) -> RunInside:
    """Run the program in the test's own process, which spares its start; for commands that only complain."""

    def _run(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--project", str(project)], prog_name="thedata")

    return _run


@contextlib.contextmanager
def started(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the program beside the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "thedata_cli", *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()
