"""The component as the rest of the product sees it: process, addresses, findings; no server."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pydantic import BaseModel

from thedata_cli.component_api.embedded import Placement
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.components.clickhouse import checks, installation
from thedata_cli.components.clickhouse.component import PASSWORD, ClickHouseComponent
from thedata_cli.components.clickhouse.tables import ClickHouseColumn, ClickHouseTable, ClickHouseView
from thedata_cli.errors import MissingDependencyError
from thedata_cli.health import CheckStatus

PLACEMENT = Placement(Path("/d"), Path("/c"), Path("/cache"), Path("/p"), "127.0.0.1", {"http": 8123})


def test_the_embedded_process_has_no_secret_in_its_command() -> None:
    component = ClickHouseComponent.model_validate({"database": "flights", "max_memory": "1GiB"})
    process = component.embedded_process(PLACEMENT, component.install(PLACEMENT, lambda _: None))
    assert process.command[1:] == (
        "-m", "thedata_cli.components.clickhouse.server", "--host", "127.0.0.1", "--port", "8123", "--data-dir", "/d",
        "--user", "thedata", "--database", "flights", "--max-memory-bytes", str(2**30),
    )  # fmt: skip
    assert process.secret_environment == {"CLICKHOUSE_PASSWORD": PASSWORD}


def test_the_url_carries_any_password() -> None:
    password = "p@ss/w:rd?#%é"
    endpoint = Endpoint("127.0.0.1", {"http": 8124}, {PASSWORD: password})
    environment = ClickHouseComponent(database="flights").client_environment(endpoint)
    url = urlsplit(environment["CLICKHOUSE_URL"])
    assert (url.scheme, url.hostname, url.port, url.path) == ("http", "127.0.0.1", 8124, "/flights")
    assert (url.username, unquote(url.password or "")) == ("thedata", password)
    assert environment["CLICKHOUSE_PASSWORD"] == password


def test_the_installed_engine_is_the_default_version() -> None:
    component = ClickHouseComponent()
    assert component.install(PLACEMENT, lambda _: None).version == component.default_version
    (result,) = component.check_machine()
    assert (result.status, result.summary) == (CheckStatus.OK, f"chDB, engine {component.default_version}")


def test_another_version_is_named_with_the_command_that_installs_it() -> None:
    component = ClickHouseComponent(version="25.8.1.1")
    with pytest.raises(MissingDependencyError, match=r"pins clickhouse 25\.8\.1\.1") as raised:
        component.install(PLACEMENT, lambda _: None)
    assert 'pip install "chdb-core==25.8.*"' in raised.value.hint
    (result,) = component.check_machine()
    assert result.status is CheckStatus.FAILED
    assert 'pip install "chdb-core==25.8.*"' in result.fix


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "chdb" else find_spec(name))
    with pytest.raises(MissingDependencyError, match="chdb") as raised:
        ClickHouseComponent().install(PLACEMENT, lambda _: None)
    assert 'pip install "thedata[embedded]"' in raised.value.hint


@pytest.mark.parametrize(
    ("system", "machine", "libc", "gap"),
    [
        ("Linux", "x86_64", "glibc", ""),
        ("Linux", "aarch64", "glibc", ""),
        ("Darwin", "arm64", "", ""),
        ("Windows", "AMD64", "", "no wheel for Windows on amd64"),
        ("Linux", "riscv64", "glibc", "no wheel for Linux on riscv64"),
        ("Linux", "x86_64", "", "no wheel for Linux without glibc"),
    ],
)
def test_a_platform_without_a_wheel_is_told_what_to_use(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, libc: str, gap: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, ""))
    assert gap in installation.platform_gap()
    assert bool(gap) == ("compose" in installation.platform_gap())


def test_the_engine_version_is_read_without_importing_it() -> None:
    assert importlib.metadata.version("chdb-core").startswith(installation.engine_series())


@pytest.mark.parametrize(
    ("result", "status", "summary"),
    [
        (checks.latency_result("h:1", 800), "warning", "answers at h:1 in 800 ms"),
        (
            checks.version_result("25.8.1.1", "26.9.2.1", is_chdb=False),
            "warning",
            "server 25.8.1.1, wanted is 26.9.2.1",
        ),
        (checks.version_result("26.9.3.4", "26.9.2.1", is_chdb=False), "ok", "server 26.9.3.4"),
        (checks.parts_result([["t", "202401", 1500]]), "warning", "at most 1500 parts in a partition (t, 202401)"),
        (checks.mutations_result([["t", "m.txt", "no"]]), "failed", "1 failed mutation, first m.txt of t"),
        (checks.detached_result([["t", 2, "broken"]]), "warning", "2 detached parts in t"),
        (checks.disk_result("default", "/d", 5 * 10**9, 10**11), "warning", "disk default: 5.0 GB of 100.0 GB free"),
        (checks.disk_result("default", "/d", 10**9, 10**11), "failed", "disk default: 1.0 GB of 100.0 GB free"),
    ],
)
def test_findings_name_cause_and_fix(result: Any, status: str, summary: str) -> None:
    assert (result.status.value, result.summary) == (status, summary)
    assert status == "ok" or (result.cause and result.fix)


@pytest.mark.parametrize("model", [ClickHouseComponent, ClickHouseTable, ClickHouseColumn, ClickHouseView])
def test_every_key_has_its_place_in_the_docs(model: type[BaseModel]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "components" / "clickhouse.md").read_text()
    missing = [key for key in model.model_fields if f"`{key}`" not in page and f"{key}:" not in page]
    assert not missing
