"""Logs: one file a service, kept small, read while they are written and rotated."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.targets.embedded.fake_components import fake
from tests.targets.embedded.lab import Lab, get
from thedata_cli.errors import UsageError
from thedata_cli.targets.embedded.logs import follow_logs, tail_lines
from thedata_cli.targets.embedded.supervisor.log_files import KEPT_LOGS, rotate


def test_the_last_lines_reach_back_into_the_rotated_log(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    log.with_name("one.log.1").write_text("1\n2\n3\n")
    log.write_text("4\n5\nunfinished")
    assert tail_lines(log, 2) == (["4", "5"], 4)
    assert tail_lines(log, 4) == (["2", "3", "4", "5"], 4)
    assert tail_lines(log, 0)[0] == []
    assert tail_lines(tmp_path / "none.log", 5) == ([], 0)


def test_rotation_keeps_a_few_logs_and_the_open_file(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(KEPT_LOGS + 2):
            writer.write(f"{number}\n".encode() * 100)
            assert rotate(log, 100)
            assert not rotate(log, 100)
        writer.write(b"after\n")
    assert log.read_text() == "after\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one.log", "one.log.1", "one.log.2", "one.log.3"]
    assert log.with_name("one.log.3").read_text().startswith("2\n")


async def test_following_misses_nothing_over_rotations(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    log.write_text("old\n")
    seen: list[str] = []
    lines = follow_logs([("one", log, log.stat().st_size)])

    async def read() -> None:
        async for line in lines:
            seen.append(line.text)
            if line.text == "end":
                return

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    expected = [f"line {number} é" for number in range(60)]
    for number, line in enumerate(expected):
        with log.open("a") as file:
            file.write(line + "\n")
        if number % 20 == 10:
            rotate(log, 10)
            while not seen or seen[-1] != line:
                await asyncio.sleep(0.01)
    with log.open("a") as file:
        file.write("end\n")
    await asyncio.wait_for(reader, 10)
    assert seen == [*expected, "end"]


async def test_a_log_that_is_truncated_by_hand_is_read_from_its_new_start(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    log.write_text("a long old line\n")
    lines = follow_logs([("one", log, log.stat().st_size)])

    async def first_line() -> str:
        return (await anext(lines)).text

    first = asyncio.create_task(first_line())
    await asyncio.sleep(0)
    log.write_text("new\n")
    assert await asyncio.wait_for(first, 10) == "new"


@pytest.mark.live
async def test_logs_of_one_service_and_of_all(lab: Lab) -> None:
    target = lab.target(fake("one", "--say", "hello from one"), fake("two", "--say", "hello from two"))
    await lab.up(target)
    lines = [line async for line in target.logs("one")]
    assert [line.service for line in lines] == ["one"] * len(lines)
    assert "hello from one" in [line.text for line in lines]
    assert {line.service for line in [line async for line in target.logs(tail=1)]} == {"one", "two"}
    assert (await anext(target.logs("supervisor"))).text.endswith(f"pid {lab.supervisor_pid}")
    with pytest.raises(UsageError, match="no service 'three'"):
        await anext(target.logs("three"))


@pytest.mark.live
async def test_a_large_log_is_rotated_while_it_is_followed(lab: Lab) -> None:
    target = lab.target(fake("one"), log_max_bytes=20_000)
    states = await lab.up(target)
    wanted = [f"line {number}" for number in range(600)]
    seen: list[str] = []

    async def read() -> None:
        async for line in target.logs("one", follow=True, tail=0):
            if line.text.startswith("line "):
                seen.append(line.text.strip())
            if len(seen) == len(wanted):
                return

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    rotated = lab.layout.log_file("one").with_name("one.log.1")
    await asyncio.to_thread(get, states["one"].ports["http"], "/chatter/0/400")
    while not rotated.exists():
        await asyncio.sleep(0.05)
    await asyncio.to_thread(get, states["one"].ports["http"], "/chatter/400/600")
    await asyncio.wait_for(reader, 10)
    assert seen == wanted
    assert rotated.stat().st_mode & 0o777 == 0o600
