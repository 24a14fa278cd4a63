"""The embedded process: what it listens on, who may talk to it, what it keeps, and how it is installed."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import psutil
import pytest
from tests.components.questdb.cases import COMPONENT, apply, plan_of, project, run, settled, table
from tests.components.questdb_process import QuestDBServer, cache_dir, running_questdb

from thedata_cli.component_api.embedded import Placement
from thedata_cli.components.questdb.installation import JAR_SHA256, find_jar, find_java, install, jar_path
from thedata_cli.components.questdb.live import QuestDBLive
from thedata_cli.components.questdb.login import PASSWORD, USER
from thedata_cli.errors import MissingDependencyError
from thedata_cli.health import CheckStatus

VERSION = COMPONENT.default_version


def get(
    server: QuestDBServer, port: str, path: str, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(server.endpoint.host, server.endpoint.ports[port], timeout=10)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


def login(server: QuestDBServer) -> dict[str, str]:
    text = f"{USER}:{server.endpoint.secrets[PASSWORD]}"
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.live
def test_it_listens_on_the_given_address_and_ports_only(server: QuestDBServer) -> None:
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for connection in psutil.Process(server.process.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {(server.endpoint.host, port) for port in server.endpoint.ports.values()}


@pytest.mark.live
def test_health_and_metrics_need_no_login_and_data_does(server: QuestDBServer) -> None:
    assert get(server, "health", "/status")[0] == 200
    assert "questdb_wal" in get(server, "health", "/metrics")[2]
    query = "/exec?" + urllib.parse.urlencode({"query": "SELECT 1"})
    assert get(server, "http", query)[0] == 401
    assert get(server, "http", query, login(server))[0] == 200


@pytest.mark.live
def test_the_console_may_talk_to_its_own_server_only(server: QuestDBServer) -> None:
    status, _, page = get(server, "http", "/index.html")
    assert status == 200
    head = page[page.index("<head>") : page.index("<script")]
    assert "Content-Security-Policy" in head
    assert "default-src 'self'" in head
    assert '"posthog.enabled":false' in get(server, "http", "/settings")[2]


@pytest.mark.live
def test_java_takes_the_class_archive(server: QuestDBServer) -> None:
    assert any(part.startswith("-XX:AOTCache=") for part in psutil.Process(server.process.pid).cmdline())
    assert "[aot]" not in server.log.read_text(errors="replace")


@pytest.mark.live
def test_no_secret_is_in_the_command_line_or_the_log(server: QuestDBServer) -> None:
    password = server.endpoint.secrets[PASSWORD]
    assert password not in " ".join(psutil.Process(server.process.pid).cmdline())
    assert password not in server.log.read_text(errors="replace")


@pytest.mark.live
async def test_data_and_ownership_survive_a_restart(data_dir: Path) -> None:
    wanted = project(table("t", columns=[{"name": "ts", "type": "TIMESTAMP"}], timestamp="ts"))
    with running_questdb(data_dir) as server:
        async with COMPONENT.connect(server.endpoint, "flights") as connected:
            live = cast(QuestDBLive, connected)
            await apply(live, wanted)
            await run(live, "INSERT INTO t VALUES ('2024-01-01')")
            await settled(live, "t")
    assert server.process.returncode == 143, "stopped in good order"
    with running_questdb(data_dir, password="another") as server:
        async with COMPONENT.connect(server.endpoint, "flights") as connected:
            live = cast(QuestDBLive, connected)
            assert (await plan_of(live, wanted)).is_empty
            assert [change.loses for change in (await plan_of(live, project())).changes] == ["all rows (1)"]


@pytest.mark.live
def test_the_urls_of_the_environment_work_in_other_clients(server: QuestDBServer) -> None:
    import psycopg

    variables = COMPONENT.client_environment(server.endpoint)
    with psycopg.connect(variables["QUESTDB_PG_URL"], autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    parts = urllib.parse.urlsplit(variables["QUESTDB_HTTP_URL"])
    assert urllib.parse.unquote(parts.password or "") == server.endpoint.secrets[PASSWORD]


@pytest.mark.live
def test_two_installs_at_once_share_one_jar(tmp_path: Path, server: QuestDBServer) -> None:
    """A jar that is broken is fetched again by both, and neither sees half of it."""
    jar = jar_path(VERSION, tmp_path)
    jar.parent.mkdir(parents=True)
    jar.write_bytes(b"half a jar")
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: find_jar(VERSION, None, tmp_path, said.append), range(2)))
    assert found == [jar, jar]
    assert hashlib.sha256(jar.read_bytes()).hexdigest() == JAR_SHA256[VERSION]
    assert any("downloading QuestDB" in line for line in said)
    assert [path.name for path in jar.parent.iterdir()] == [jar.name]
    assert find_jar(VERSION, None, tmp_path, said.append) == jar


@pytest.mark.live
def test_a_second_install_does_nothing(server: QuestDBServer) -> None:
    said: list[str] = []
    first = install(VERSION, None, cache_dir(), said.append)
    assert install(VERSION, None, cache_dir(), said.append) == first
    assert said == []
    assert set(first.paths) == {"java", "jar", "console", "class_archive"}


def test_without_network_and_cache_the_file_and_its_place_are_named(tmp_path: Path) -> None:
    """In a process of its own, whose network leads nowhere."""
    code = (
        "import sys; from pathlib import Path\n"
        "from thedata_cli.components.questdb.installation import find_jar\n"
        "from thedata_cli.errors import MissingDependencyError\n"
        "try: find_jar(sys.argv[1], None, Path(sys.argv[2]), lambda _: None)\n"
        "except MissingDependencyError as error: print(error.message, error.hint, sep='\\n')\n"
    )
    nowhere = dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code, VERSION, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, **nowhere, "NO_PROXY": "", "no_proxy": ""},
    )
    assert "could not be downloaded" in finished.stdout
    assert str(jar_path(VERSION, tmp_path)) in finished.stdout
    assert JAR_SHA256[VERSION] in finished.stdout
    assert list((tmp_path / "questdb").iterdir()) == []


def test_a_version_without_digest_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="digest") as missing:
        find_jar("99.0.0", None, tmp_path, lambda _: None)
    assert "jar_sha256" in missing.value.hint


def test_a_jar_with_another_digest_than_the_pinned_is_not_run(tmp_path: Path) -> None:
    jar = jar_path("99.0.0", tmp_path)
    jar.parent.mkdir(parents=True)
    jar.write_bytes(b"not it")
    with pytest.raises(MissingDependencyError, match=r"expected 0{64}"):
        find_jar("99.0.0", "0" * 64, tmp_path, lambda _: None)
    right = hashlib.sha256(b"not it").hexdigest()
    assert find_jar("99.0.0", right.upper(), tmp_path, lambda _: None) == jar


def test_java_is_found_in_java_home_where_the_package_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = find_java()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(MissingDependencyError, match="JAVA_HOME is not set") as missing:
        find_java()
    assert "JAVA_HOME" in missing.value.hint
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(bundled)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    (tmp_path / "release").write_text('JAVA_VERSION="17.0.1"\n')
    with pytest.raises(MissingDependencyError, match="Java 17"):
        find_java()
    (tmp_path / "release").write_text('JAVA_VERSION="25.0.1"\n')
    assert find_java() == tmp_path / "bin" / "java"
    shutil.rmtree(tmp_path / "bin")


def test_the_process_is_the_same_data_every_time(tmp_path: Path) -> None:
    from thedata_cli.component_api.embedded import Installation

    placement = Placement(
        tmp_path / "data", tmp_path / "config", tmp_path, tmp_path, "127.0.0.2", {"http": 1, "postgres": 2, "health": 3}
    )
    installation = Installation(VERSION, {"java": Path("/j/java"), "jar": Path("/c/q.jar")})
    process = COMPONENT.embedded_process(placement, installation)
    assert process == COMPONENT.embedded_process(placement, installation)
    assert all(process.environment.values()), "the server does not start with an empty variable"
    assert process.environment["QDB_TELEMETRY_ENABLED"] == "false"
    assert set(process.secret_environment.values()) == {PASSWORD}
    assert process.command[-2:] == ("-d", str(tmp_path / "data"))


def test_the_doctor_looks_at_this_machine() -> None:
    checks = {check.name: check for check in COMPONENT.check_machine()}
    assert checks["questdb.java"].status is CheckStatus.OK
    assert checks["questdb.jar"].status is CheckStatus.OK
    other = {check.name: check for check in COMPONENT.model_copy(update={"version": "99.0"}).check_machine()}
    assert other["questdb.jar"].status is CheckStatus.FAILED
    assert "jar_sha256" in other["questdb.jar"].fix
