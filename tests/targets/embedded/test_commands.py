"""Commands as processes: they end, they may be interrupted, they may meet, and what they started goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from tests.targets.embedded.fake_components import fake, free_port
from tests.targets.embedded.lab import PYTHON, Lab, eventually, get

pytestmark = pytest.mark.live


def command(lab: Lab, verb: str, *components: dict[str, Any]) -> list[str]:
    return [PYTHON, "-m", "tests.targets.embedded.command", verb, str(lab.project_dir), json.dumps(components)]


def start(lab: Lab, verb: str, *components: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(lab, verb, *components),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def held_back(lab: Lab, name: str, **settings: Any) -> dict[str, Any]:
    """Return a service that becomes healthy when the test says so."""
    return {"name": name, "port": free_port(), "arguments": ["--healthy-when", str(signal_file(lab))], **settings}


def signal_file(lab: Lab) -> Path:
    return lab.project_dir / "be-healthy"


def read_until(stream: IO[str] | None, text: str) -> None:
    assert stream
    for line in stream:
        if text in line:
            return
    raise AssertionError(f"{text!r} did not come")


async def test_the_pipe_of_a_command_ends_with_it_and_the_services_live_on(lab: Lab) -> None:
    done = subprocess.run(
        f'{subprocess.list2cmdline(command(lab, "up"))[:-2]} \'[{{"name": "one"}}]\' 2>&1 | cat',
        shell=True,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert "one healthy" in done.stdout
    supervisor = psutil.Process(lab.supervisor_pid)
    (service,) = lab.processes()
    assert service.ppid() == supervisor.pid
    assert len({os.getsid(0), os.getsid(supervisor.pid), os.getsid(service.pid)}) == 3
    assert supervisor.terminal() is None
    (state,) = await lab.target(fake("one")).status()
    assert get(state.ports["http"]) == str(service.pid)


async def test_an_interrupted_up_is_finished_by_the_next_one(lab: Lab) -> None:
    one, two = held_back(lab, "one"), held_back(lab, "two", depends_on=["one"])
    with start(lab, "up", one, two) as first:
        await eventually(lambda: lab.processes())
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=10)
    assert first.returncode == 130
    assert len(lab.processes()) == 1
    signal_file(lab).touch()
    second = subprocess.run(command(lab, "up", one, two), capture_output=True, text=True, timeout=20, check=True)
    assert "one healthy already runs" in second.stdout
    assert "two healthy" in second.stdout
    assert len(lab.processes()) == 2


async def test_an_interrupted_up_can_be_taken_down(lab: Lab) -> None:
    with start(lab, "up", held_back(lab, "one")) as first:
        await eventually(lambda: lab.processes())
        first.send_signal(signal.SIGKILL)
        first.communicate(timeout=10)
    subprocess.run(command(lab, "down"), capture_output=True, timeout=20, check=True)
    assert lab.processes() == []
    assert not lab.layout.record_file.exists()


async def test_two_ups_at_the_same_time_start_everything_once(lab: Lab) -> None:
    one = held_back(lab, "one")
    with start(lab, "up", one) as first:
        await eventually(lambda: lab.processes())
        with start(lab, "up", one) as second:
            read_until(second.stdout, f"waiting waits for `thedata up` (pid {first.pid})")
            signal_file(lab).touch()
            told_first, told_second = first.communicate(timeout=20)[0], second.communicate(timeout=20)[0]
    assert (first.returncode, second.returncode) == (0, 0)
    assert "one starting" in told_first
    assert "one healthy already runs" in told_second
    assert len(lab.processes()) == 1


async def test_down_waits_for_up_and_then_stops_everything(lab: Lab) -> None:
    with start(lab, "up", held_back(lab, "one")) as up:
        await eventually(lambda: lab.processes())
        with start(lab, "down") as down:
            read_until(down.stdout, f"waits for `thedata up` (pid {up.pid})")
            signal_file(lab).touch()
            up.communicate(timeout=20)
            down.communicate(timeout=20)
    assert (up.returncode, down.returncode) == (0, 0)
    assert lab.processes() == []


async def test_who_does_not_leave_the_project_is_named(lab: Lab) -> None:
    with start(lab, "up", held_back(lab, "one")) as first:
        await eventually(lambda: lab.processes())
        with pytest.raises(Exception, match=f"`thedata up` \\(pid {first.pid}\\) has been at work") as raised:
            await lab.up(lab.target(fake("one")), timeout_s=0.2)
        first.kill()
    assert raised.value.exit_code == 7  # type: ignore[attr-defined]
