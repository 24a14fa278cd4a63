"""Client programs in other languages, each run against the real server with its real driver."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from tests.components.clickhouse.server_process import ClickHouseServer
from tests.components.client_programs import RUN_LIMIT_S, build, require, run_checks

pytestmark = [pytest.mark.live, pytest.mark.clients]

_PROGRAMS = Path(__file__).parent / "clients"


def _build(pytestconfig: pytest.Config, language: str, command: Sequence[str], product: str) -> Path:
    return build(pytestconfig, f"clickhouse-{language}", _PROGRAMS / language, command, product)


def _run_checks(server: ClickHouseServer, command: Sequence[str], directory: Path, at_least: int) -> None:
    database = f"client_{uuid.uuid4().hex}"
    with httpx.Client(base_url=server.url, auth=(server.user, server.password)) as http:
        http.post("/", content=f"CREATE DATABASE {database}").raise_for_status()
    environment = {
        "CLICKHOUSE_URL": server.url,
        "CLICKHOUSE_ADDRESS": f"{server.host}:{server.port}",
        "CLICKHOUSE_USER": server.user,
        "CLICKHOUSE_PASSWORD": server.password,
        "CLICKHOUSE_DATABASE": database,
    }
    run_checks(command, directory, environment, at_least)


@pytest.mark.timeout(400)
def test_clickhouse_go_over_http(server: ClickHouseServer, pytestconfig: pytest.Config) -> None:
    require("go")
    directory = _build(pytestconfig, "go", ["go", "build", "-o", "check", "."], "check")
    _run_checks(server, [str(directory / "check")], directory, at_least=30)


@pytest.mark.timeout(400)
def test_the_node_client(server: ClickHouseServer, pytestconfig: pytest.Config) -> None:
    require("node", "npm")
    install = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--prefer-offline"]
    directory = _build(pytestconfig, "node", install, "node_modules/@clickhouse/client")
    _run_checks(server, ["node", "check.mjs"], directory, at_least=28)


@pytest.mark.timeout(400)
def test_the_jdbc_driver(server: ClickHouseServer, pytestconfig: pytest.Config) -> None:
    require("java", "mvn")
    copy = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    directory = _build(pytestconfig, "java", copy, "lib/clickhouse-jdbc-0.9.9-all.jar")
    _run_checks(server, ["java", "-cp", "lib/*", "Check.java"], directory, at_least=32)


def test_curl(server: ClickHouseServer, tmp_path: Path) -> None:
    require("curl")
    rows = tmp_path / "rows.csv"
    rows.write_text("1,one\n2,two\n")
    login = f"{server.user}:{server.password}"

    def curl(*arguments: str) -> str:
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--user", login, *arguments],
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_S,
            check=True,
        )
        return done.stdout

    table = f"curl_{uuid.uuid4().hex}"
    assert curl(f"{server.url}/ping") == "Ok.\n"
    assert curl("--data-binary", f"CREATE TABLE {table} (a UInt8, b String) ENGINE = Memory", server.url) == ""
    insert = f"{server.url}/?query=INSERT%20INTO%20{table}%20FORMAT%20CSV"
    assert curl("--data-binary", f"@{rows}", insert) == ""
    assert curl("--data", f"SELECT * FROM {table} ORDER BY a", server.url) == "1\tone\n2\ttwo\n"
    assert curl("--compressed", f"{server.url}/?query=SELECT%201&enable_http_compression=1") == "1\n"
    external = [
        "--form",
        f"more=@{rows};filename=more",
        f"{server.url}/?more_structure=a+UInt8,b+String&more_format=CSV",
    ]
    assert curl("--form", "query=SELECT sum(a) FROM more", *external) == "3\n"
