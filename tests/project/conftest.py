"""Projects written for one test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from thedata_cli.errors import InvalidProjectError
from thedata_cli.project.load import load_project
from thedata_cli.project.model import Project

Files = Mapping[str, str | bytes]

BASE: Files = {
    "thedata.yaml": """\
        name: flights
        components:
          nats: {}
          questdb: {}
          clickhouse: {database: flights}
        """,
    "contracts/departures.yaml": """\
        x-subject: flights.departures.>
        type: object
        properties:
          scheduled_at: {type: string, format: date-time, x-event-time: true, x-key: true}
          carrier: {type: string, x-key: true, x-symbol: true, minLength: 2, maxLength: 3}
          delay_minutes: {type: [integer, "null"], format: int16}
        required: [scheduled_at, carrier]
        additionalProperties: false
        """,
    "streams/departures.yaml": """\
        name: departures
        subjects: [flights.departures.>]
        """,
    "tables/questdb.yaml": """\
        engine: questdb
        name: departures
        contract: departures
        """,
    "tables/clickhouse.yaml": """\
        engine: clickhouse
        name: departures
        contract: departures
        """,
    "pipelines/departures.yaml": """\
        name: departures
        stream: departures
        tables: [questdb/departures, clickhouse/departures]
        """,
    "queries/late.sql": """\
        -- engine: clickhouse
        -- description: The latest carriers
        select carrier, avg(delay_minutes) as delay from departures group by carrier
        """,
}
"""A valid project with one file of each kind."""


def write(root: Path, files: Files) -> Path:
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())
    return root


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Project]:
    """Load the base project with some of its files replaced or added."""

    def load(files: Files | None = None, environment: str = "dev") -> Project:
        return load_project(write(tmp_path, {**BASE, **(files or {})}), environment)

    return load


@pytest.fixture
def mistakes(load: Callable[..., Project]) -> Callable[..., list[str]]:
    """Return every mistake of the base project with some of its files replaced or added, as a user reads them."""

    def mistakes(files: Files, environment: str = "dev") -> list[str]:
        with pytest.raises(InvalidProjectError) as caught:
            load(files, environment)
        return caught.value.detail.splitlines()

    return mistakes
