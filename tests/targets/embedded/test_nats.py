"""The real NATS server under the supervisor: what it stored is there after anything that may happen to it."""

from __future__ import annotations

from collections.abc import Mapping

import nats
import pytest

from tests.targets.embedded.fake_components import free_port
from tests.targets.embedded.lab import Lab, eventually, get, kill
from thedata_cli.component_api.component import Component
from thedata_cli.component_api.live import CanTail
from thedata_cli.components.nats.component import PASSWORD_SECRET, NatsComponent
from thedata_cli.targets.embedded.runtime import EmbeddedTarget
from thedata_cli.targets.embedded.states import ServicePhase

pytestmark = pytest.mark.live

PASSWORD = '7 it\'s "$ecret" \\ é'


class NatsOnFreePorts(NatsComponent):
    ports = {"client": free_port(), "monitor": free_port()}  # noqa: RUF012


def make_target(lab: Lab) -> EmbeddedTarget:
    components: Mapping[str, Component] = {"nats": NatsOnFreePorts()}
    return EmbeddedTarget(lab.project_dir, "lab", components, {PASSWORD_SECRET: PASSWORD})


async def stored_messages(target: EmbeddedTarget) -> int:
    connection = NatsComponent().connect(target.endpoints()["nats"], "lab")
    async with connection as live:
        assert isinstance(live, CanTail)
        return sum(stream.messages for stream in await live.streams())


async def test_messages_outlive_kills_of_supervisor_and_server_and_a_down(lab: Lab) -> None:
    target = make_target(lab)
    before = await lab.up(target)
    assert before["nats"].version == NatsComponent.default_version
    port = target.endpoints()["nats"].ports["client"]
    client = await nats.connect(f"nats://127.0.0.1:{port}", user="thedata", password=PASSWORD)
    await client.jetstream().add_stream(name="kept", subjects=["kept.>"])
    await client.jetstream().publish("kept.1", b"1")
    await client.close()

    await lab.kill_supervisor(recorded=1)
    after = await lab.up(target)
    assert after["nats"].pid == before["nats"].pid
    assert after["nats"].pid is not None
    kill(after["nats"].pid)
    await eventually(lambda: [process for process in lab.processes() if process.pid != after["nats"].pid])
    assert (await lab.up(target))["nats"].state is ServicePhase.HEALTHY
    assert await stored_messages(target) == 1

    await lab.down(target)
    await lab.up(target)
    assert await stored_messages(target) == 1
    assert "ok" in get(target.endpoints()["nats"].ports["monitor"], "/healthz")
