"""Port numbers: the usual one, the next free one, remembered, told, and never shared between two projects."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest

from tests.targets.embedded.fake_components import fake, free_port
from tests.targets.embedded.lab import Lab, get
from thedata_cli.targets.embedded.layout import private_runtime_dir
from thedata_cli.targets.embedded.ports import choose_ports, is_port_free
from thedata_cli.targets.embedded.states import ServicePhase

USUAL = {"nats": {"client": 4222, "monitor": 8222}, "store": {"http": 9000}}


def test_usual_numbers_are_taken_when_they_are_free() -> None:
    chosen, moves = choose_ports(USUAL, {}, {}, lambda _: True)
    assert chosen == USUAL
    assert moves == []


def test_remembered_numbers_come_before_usual_ones_and_held_ones_before_both() -> None:
    remembered = {"nats": {"client": 5000, "monitor": 5001}}
    held = {"store": {"http": 9007}}
    chosen, _ = choose_ports(USUAL, remembered, held, lambda number: number not in (5001, 9007))
    assert chosen == {"nats": {"client": 5000, "monitor": 8222}, "store": {"http": 9007}}


def test_a_moved_port_does_not_take_the_usual_number_of_another() -> None:
    usual = {"a": {"x": 9000}, "b": {"x": 9001}, "c": {"x": 9000}}
    chosen, moves = choose_ports(usual, {}, {}, lambda number: number != 9002)
    assert chosen == {"a": {"x": 9000}, "b": {"x": 9001}, "c": {"x": 9003}}
    assert [(move.service, move.expected, move.number) for move in moves] == [("c", 9000, 9003)]


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_with_a_listener_is_not_free(address: str) -> None:
    number = free_port()
    assert is_port_free("127.0.0.1", number)
    with socket.create_server((address, number)):
        assert not is_port_free("127.0.0.1", number)


@pytest.mark.live
async def test_a_taken_port_is_replaced_told_and_remembered(lab: Lab) -> None:
    component = fake("one")
    usual = component.ports["http"]
    with socket.create_server(("127.0.0.1", usual)):
        states = await lab.up(lab.target(component))
        moved = states["one"].ports["http"]
        assert moved > usual
        assert f"port http is {moved} this time and from now on, as {usual} is taken by pid {os.getpid()} (" in (
            lab.details("one")
        )
    await lab.down(lab.target(component))
    states = await lab.up(lab.target(component))
    assert states["one"].ports["http"] == moved
    assert json.loads(lab.layout.ports_file.read_text()) == {"one": {"http": moved}}


@pytest.mark.live
async def test_a_remembered_port_that_is_taken_later_is_replaced_too(lab: Lab) -> None:
    component = fake("one")
    target = lab.target(component)
    await lab.up(target)
    await lab.down(target)
    with socket.create_server(("127.0.0.1", component.ports["http"])):
        states = await lab.up(target)
    assert states["one"].state is ServicePhase.HEALTHY
    assert states["one"].ports["http"] != component.ports["http"]
    assert target.endpoints()["one"].ports == states["one"].ports


@pytest.mark.live
async def test_projects_that_start_at_the_same_moment_run_side_by_side(tmp_path: Path) -> None:
    component = fake("one")
    labs = [Lab(tmp_path / name) for name in ("a", "b", "c")]
    for lab in labs:
        lab.project_dir.mkdir()
    states = await asyncio.gather(*(lab.up(lab.target(component)) for lab in labs))
    try:
        assert len({state["one"].ports["http"] for state in states}) == len(labs)
        for state in states:
            assert get(state["one"].ports["http"]) == str(state["one"].pid)
        reserved = json.loads((private_runtime_dir("ports") / "reserved.json").read_text())
        assert not {lab.layout.key for lab in labs} & set(reserved)
    finally:
        for lab in labs:
            await lab.down(lab.target(component))
            assert lab.processes() == []
