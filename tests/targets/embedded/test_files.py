"""Files: what may be in them, who may read them, and what is told when they cannot be written."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.targets.embedded.fake_components import fake
from tests.targets.embedded.lab import Lab, eventually, get
from thedata_cli.errors import RefusedError, TheDataError
from thedata_cli.targets.embedded.layout import SOCKET_PATH_LIMIT, explained_file_errors, private_runtime_dir

NOBODY = 65_534


@pytest.mark.live
async def test_a_secret_reaches_the_process_and_stands_nowhere_else(lab: Lab) -> None:
    secret = "correct-horse-é-battery"
    target = lab.target(fake("one", secret="word"), secrets={"word": secret})
    states = await lab.up(target)
    await eventually(lambda: lab.is_recorded(1))
    assert f"FAKE_WORD={secret}" in get(states["one"].ports["http"], "/env")
    holders = [file for file in lab.layout.root.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]
    assert holders == []
    assert not [process for process in psutil.process_iter(["cmdline"]) if secret in str(process.info["cmdline"])]
    assert secret not in repr(target.endpoints())


@pytest.mark.live
async def test_only_the_user_can_look_into_the_state(lab: Lab) -> None:
    await lab.up(lab.target(fake("one")))
    await eventually(lambda: lab.is_recorded(1))
    assert lab.layout.root.stat().st_mode & 0o777 == 0o700
    for file in lab.layout.root.rglob("*"):
        assert not file.is_file() or file.stat().st_mode & 0o077 == 0, file
    assert private_runtime_dir(lab.layout.key).stat().st_mode & 0o777 == 0o700


@pytest.mark.live
async def test_a_project_may_lie_deep(tmp_path: Path) -> None:
    lab = Lab(tmp_path.joinpath(*["a-directory-with-a-long-name"] * 6))
    lab.project_dir.mkdir(parents=True)
    target = lab.target(fake("one"))
    await lab.up(target)
    socket_file = Path(json.loads(lab.layout.record_file.read_text())["socket"])
    assert len(os.fsencode(socket_file)) < SOCKET_PATH_LIMIT
    await lab.down(target)
    assert not socket_file.parent.exists()
    assert lab.processes() == []


def test_a_runtime_directory_that_is_not_private_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "thedata").mkdir(mode=0o755)
    with pytest.raises(TheDataError, match="not a private directory of yours"):
        private_runtime_dir("x")


@pytest.mark.live
async def test_data_survives_down_and_is_deleted_only_when_nothing_runs(lab: Lab) -> None:
    target = lab.target(fake("one"), fake("two"))
    await lab.up(target)
    kept = lab.layout.data_dir("one") / "kept"
    kept.write_bytes(b"12345")
    with pytest.raises(RefusedError, match="one, two still run"):
        await target.destroy_data()
    await lab.down(target)
    assert kept.exists()
    assert target.data_bytes() == {"one": 5}
    assert await target.destroy_data() == {"one": 5}
    assert not kept.exists()
    assert target.data_bytes() == {}


@pytest.mark.live
async def test_services_may_open_as_many_files_as_the_system_allows(lab: Lab) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    try:
        states = await lab.up(lab.target(fake("one")))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert get(states["one"].ports["http"], "/limits") == f"{min(hard, 1 << 20)} {hard}"


@pytest.mark.live
async def test_nothing_goes_on_when_the_project_is_deleted(lab: Lab) -> None:
    await lab.up(lab.target(fake("one")))
    supervisor = psutil.Process(lab.supervisor_pid)
    shutil.rmtree(lab.project_dir)
    await eventually(lambda: not lab.processes())
    await eventually(lambda: not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE)


@pytest.fixture
def plain_user() -> Iterator[None]:
    """Permissions do not hold for root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


async def test_a_project_directory_that_cannot_be_written_is_named(lab: Lab, plain_user: None) -> None:
    if os.geteuid() != NOBODY:
        lab.project_dir.chmod(0o500)
    with pytest.raises(TheDataError) as raised:
        await lab.up(lab.target(fake("one")))
    lab.project_dir.chmod(0o700) if os.geteuid() != NOBODY else None
    assert "permission denied" in raised.value.message
    assert str(lab.project_dir) in raised.value.message or str(lab.project_dir.parent) in raised.value.message
    assert "writable" in raised.value.hint


async def test_a_file_in_the_place_of_the_state_is_named(lab: Lab) -> None:
    lab.layout.root.write_text("")
    with pytest.raises(TheDataError, match=r"cannot write .*\.thedata.*: a file stands where a directory is needed"):
        await lab.up(lab.target(fake("one")))
    lab.layout.root.unlink()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_told_as_such() -> None:
    full = Path("/dev/full")
    with pytest.raises(TheDataError) as raised, explained_file_errors(full):
        full.write_text("x")
    assert raised.value.message == "cannot write /dev/full: the disk is full"
    assert "free some space" in raised.value.hint


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "tiny"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.mark.live
async def test_a_disk_that_runs_full_stops_no_service_and_the_next_up_says_it(tiny_disk: Path) -> None:
    lab = Lab(tiny_disk)
    target = lab.target(fake("one"))
    before = await lab.up(target)
    with pytest.raises(OSError, match="No space"):
        (tiny_disk / "filler").write_bytes(bytes(1 << 20))
    changed = fake("one", port=before["one"].ports["http"], settings="x" * 9000)
    with pytest.raises(TheDataError) as raised:
        await lab.up(lab.target(changed))
    assert "the disk is full" in raised.value.message
    (state,) = await target.status()
    assert state.pid == before["one"].pid
    await lab.down(target)
    assert lab.processes() == []
