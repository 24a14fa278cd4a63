"""Client programs in other languages, each run against the real emulator with its real driver."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.components.client_programs import build, require, run_checks
from tests.components.materialize.emulator.lab import Lab

pytestmark = [pytest.mark.live, pytest.mark.clients]

_PROGRAMS = Path(__file__).parent / "clients"


def _build(pytestconfig: pytest.Config, language: str, command: Sequence[str], product: str) -> Path:
    return build(pytestconfig, f"materialize-{language}", _PROGRAMS / language, command, product)


def _run_checks(lab: Lab, command: Sequence[str], directory: Path, at_least: int) -> None:
    address = f"{lab.emulator.host}:{lab.emulator.sql_port}"
    environment = {"MATERIALIZE_ADDRESS": address, "MATERIALIZE_SCHEMA": lab.schema}
    run_checks(command, directory, environment, at_least)


@pytest.mark.timeout(400)
def test_pgx_and_lib_pq(lab: Lab, pytestconfig: pytest.Config) -> None:
    require("go")
    directory = _build(pytestconfig, "go", ["go", "build", "-o", "check", "."], "check")
    _run_checks(lab, [str(directory / "check")], directory, at_least=37)


@pytest.mark.timeout(400)
def test_the_jdbc_driver(lab: Lab, pytestconfig: pytest.Config) -> None:
    require("java", "mvn")
    copy = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    directory = _build(pytestconfig, "java", copy, "lib/postgresql-42.7.4.jar")
    _run_checks(lab, ["java", "-cp", "lib/*", "Check.java"], directory, at_least=28)
