"""`kill -9` of anything, reboots, and processes of others: what runs is found again, and never twice."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.targets.embedded.fake_components import fake
from tests.targets.embedded.lab import PYTHON, Lab, eventually, get, kill
from thedata_cli.errors import TheDataError
from thedata_cli.targets.embedded import supervisor_client
from thedata_cli.targets.embedded.states import ServicePhase

pytestmark = pytest.mark.live


@pytest.fixture
def foreign_process() -> Iterator[psutil.Process]:
    """A process of this user that has nothing to do with the project."""
    with subprocess.Popen([PYTHON, "-S", "-c", "import signal; signal.pause()"]) as process:
        yield psutil.Process(process.pid)
        process.kill()


async def test_services_outlive_a_killed_supervisor_and_are_taken_over(lab: Lab) -> None:
    target = lab.target(fake("one", secret="word"), fake("two"), secrets={"word": "hush"})
    before = await lab.up(target)
    await lab.kill_supervisor(recorded=2)

    orphaned = {state.service: state for state in await target.status()}
    assert orphaned["one"].state is ServicePhase.HEALTHY
    assert "without its supervisor" in orphaned["one"].detail

    after = await lab.up(target)
    assert lab.changed() == set()
    assert {state.pid for state in after.values()} == {state.pid for state in before.values()}
    assert len(lab.processes()) == 2

    one = after["one"].pid
    assert one is not None
    kill(one)
    await eventually(lambda: any(process.pid not in (one, after["two"].pid) for process in lab.processes()))
    assert len(lab.processes()) == 2


async def test_a_new_secret_replaces_a_process_that_was_taken_over(lab: Lab) -> None:
    component = fake("one", secret="word")
    before = await lab.up(lab.target(component, secrets={"word": "old"}))
    await lab.kill_supervisor(recorded=1)
    after = await lab.up(lab.target(component, secrets={"word": "new"}))
    assert after["one"].pid != before["one"].pid
    assert "FAKE_WORD=new" in get(after["one"].ports["http"], "/env")


async def test_down_stops_what_a_killed_supervisor_left(lab: Lab) -> None:
    target = lab.target(fake("one"), fake("two", depends_on=["one"]))
    await lab.up(target)
    await lab.kill_supervisor(recorded=2)
    await lab.down(target)
    assert lab.processes() == []
    assert lab.moment("two", ServicePhase.STOPPED) <= lab.moment("one", ServicePhase.STOPPING)


async def test_a_process_that_was_never_recorded_is_ended_not_doubled(lab: Lab) -> None:
    target = lab.target(fake("one"))
    before = await lab.up(target)
    await lab.kill_supervisor(recorded=1)
    record_file = lab.layout.record_file
    record_file.write_text(json.dumps({**json.loads(record_file.read_text()), "services": {}}))
    after = await lab.up(target)
    assert [process.pid for process in lab.processes()] == [after["one"].pid]
    assert after["one"].pid != before["one"].pid


@pytest.mark.parametrize("started", ["the same time", "another time"])
async def test_a_foreign_process_that_got_the_pid_is_left_alone(
    lab: Lab, foreign_process: psutil.Process, started: str
) -> None:
    target = lab.target(fake("one"))
    before = await lab.up(target)
    await lab.kill_supervisor(recorded=1)
    pid = before["one"].pid
    assert pid is not None
    kill(pid)
    record_file = lab.layout.record_file
    record = json.loads(record_file.read_text())
    record["services"]["one"]["pid"] = foreign_process.pid
    if started == "the same time":
        record["services"]["one"]["process_started"] = foreign_process.create_time()
    record_file.write_text(json.dumps(record))
    after = await lab.up(target)
    await lab.down(target)
    assert after["one"].pid not in (pid, foreign_process.pid)
    assert foreign_process.is_running()


async def test_a_killed_service_is_started_again(lab: Lab) -> None:
    target = lab.target(fake("one"))
    pid = (await lab.up(target))["one"].pid
    assert pid is not None
    kill(pid)
    await eventually(lambda: [process for process in lab.processes() if process.pid != pid])
    states = await lab.up(target)
    assert states["one"].state is ServicePhase.HEALTHY
    assert states["one"].restarts == 1
    log = lab.layout.log_file("one").read_text()
    assert "[thedata] one was killed by SIGKILL; next start in 0.25 s" in log


async def test_a_service_that_dies_again_and_again_gets_longer_pauses(lab: Lab) -> None:
    target = lab.target(fake("one", "--die-after", "0.15"))
    await lab.up(target)
    log = lab.layout.log_file("one")
    await eventually(lambda: "next start in 1 s" in log.read_text())
    assert [line.rsplit("in ", 1)[1] for line in log.read_text().splitlines() if "next start" in line] == [
        "0.25 s",
        "0.5 s",
        "1 s",
    ]
    (state,) = await target.status()
    assert (state.state, state.restarts) == (ServicePhase.RESTARTING, 2)
    assert state.detail.startswith("exited with code 3; next start in ")


async def test_after_a_reboot_stale_files_are_no_obstacle(lab: Lab) -> None:
    target = lab.target(fake("one"), fake("two"))
    before = await lab.up(target)
    await lab.kill_supervisor(recorded=2)
    for process in lab.processes():
        process.kill()
    await eventually(lambda: not lab.processes())
    assert {state.state for state in await target.status()} == {ServicePhase.STOPPED}
    after = await lab.up(target)
    assert {state.state for state in after.values()} == {ServicePhase.HEALTHY}
    assert {state.ports["http"] for state in after.values()} == {state.ports["http"] for state in before.values()}


async def test_a_supervisor_that_dies_in_the_middle_of_up_is_told(lab: Lab) -> None:
    target = lab.target(fake("slow", "--healthy-after", "30"))
    began = time.monotonic()
    starting = asyncio.create_task(lab.up(target, timeout_s=60))
    await eventually(lambda: ServicePhase.STARTING in lab.phases("slow"))
    await lab.kill_supervisor(recorded=1)
    with pytest.raises(Exception, match="the supervisor died") as raised:
        await starting
    assert "thedata up" in raised.value.hint  # type: ignore[attr-defined]
    assert time.monotonic() - began < 10
    await lab.down(target)
    assert lab.processes() == []


async def test_a_terminated_supervisor_stops_everything_in_good_order(lab: Lab) -> None:
    target = lab.target(fake("one"), fake("two"))
    await lab.up(target)
    psutil.Process(lab.supervisor_pid).terminate()
    await eventually(lambda: not lab.processes())
    await eventually(lambda: not lab.layout.record_file.exists())
    assert (await lab.up(target))["one"].state is ServicePhase.HEALTHY


async def test_a_supervisor_that_hangs_is_named_with_the_way_out(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    target = lab.target(fake("one"))
    before = await lab.up(target)
    await eventually(lambda: lab.is_recorded(1))
    supervisor = psutil.Process(lab.supervisor_pid)
    supervisor.suspend()
    monkeypatch.setattr(supervisor_client, "ANSWER_LIMIT_S", 0.3)
    with pytest.raises(TheDataError) as raised:
        await target.status()
    monkeypatch.undo()
    assert f"the supervisor (pid {supervisor.pid}) did not answer" in raised.value.message
    assert raised.value.hint.startswith(f"`kill -9 {supervisor.pid}`")
    await lab.kill_supervisor(recorded=1)
    assert (await lab.up(target))["one"].pid == before["one"].pid


async def test_a_record_of_another_version_is_no_obstacle(lab: Lab) -> None:
    target = lab.target(fake("one"))
    before = await lab.up(target)
    await lab.kill_supervisor(recorded=1)
    record = json.loads(lab.layout.record_file.read_text())
    record["services"]["one"]["spec"]["invented"] = True
    lab.layout.record_file.write_text(json.dumps(record))
    after = await lab.up(target)
    assert after["one"].pid != before["one"].pid
    assert len(lab.processes()) == 1


async def test_a_request_of_another_version_is_refused_and_hurts_nothing(lab: Lab) -> None:
    target = lab.target(fake("one"))
    before = await lab.up(target)
    for request in (b'{"op": "invented"}', b"no json", b'{"op": "ensure"}'):
        reader, writer = await asyncio.open_unix_connection(json.loads(lab.layout.record_file.read_text())["socket"])
        writer.write(request + b"\n")
        assert "refused" in json.loads(await reader.readline())
        writer.close()
    assert (await lab.up(target))["one"].pid == before["one"].pid


async def test_a_socket_that_was_swept_away_comes_back(lab: Lab) -> None:
    target = lab.target(fake("one"))
    before = await lab.up(target)
    socket_file = Path(json.loads(lab.layout.record_file.read_text())["socket"])
    shutil.rmtree(socket_file.parent)
    await eventually(socket_file.exists)
    assert (await lab.up(target))["one"].pid == before["one"].pid
