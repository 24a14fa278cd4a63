"""What the doctor says about a running server, with cause and fix."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

import pytest
from tests.components.nats.cases import COMPONENT, apply, project, route, stream
from tests.components.nats_process import NatsServer

from thedata_cli.component_api.live import OutgoingMessage
from thedata_cli.components.nats.component import NatsComponent
from thedata_cli.components.nats.doctor import consumer_findings, storage_findings, stream_findings, version_finding
from thedata_cli.components.nats.live import NatsLive
from thedata_cli.health import CheckResult, CheckStatus

LIMITS = {"max_file_store": 1000, "max_memory_store": 1000}


def assert_can_be_mended(finding: CheckResult) -> None:
    assert finding.cause, asdict(finding)
    assert finding.fix, asdict(finding)


@pytest.mark.parametrize(
    ("used", "status"),
    [(0, CheckStatus.OK), (799, CheckStatus.OK), (800, CheckStatus.WARNING), (990, CheckStatus.FAILED)],
)
def test_storage_near_its_limit(used: int, status: CheckStatus) -> None:
    file, memory = storage_findings({"storage": used, "memory": 0}, LIMITS)
    assert (file.status, memory.status) == (status, CheckStatus.OK)
    if status is not CheckStatus.OK:
        assert_can_be_mended(file)


def test_a_stream_that_will_refuse_messages() -> None:
    def info(**config: Any) -> dict[str, Any]:
        limits = {"name": "s", "discard": "new", "max_msgs": -1, "max_bytes": -1}
        return {"config": {**limits, **config}, "state": {"messages": 90, "bytes": 900}}

    assert list(stream_findings(info())) == []
    assert list(stream_findings(info(max_msgs=100, discard="old"))) == []
    [near] = stream_findings(info(max_msgs=100))
    assert (near.status, near.summary) == (CheckStatus.WARNING, "the stream s holds 90 of 100 messages")
    assert_can_be_mended(near)
    [full] = stream_findings(info(max_bytes=901))
    assert full.status is CheckStatus.FAILED


def test_a_consumer_that_stands_still() -> None:
    def info(**state: Any) -> dict[str, Any]:
        nothing = {"num_ack_pending": 0, "num_pending": 0, "num_redelivered": 0}
        return {"stream_name": "s", "name": "c", "config": {"max_ack_pending": 10}, **nothing, **state}

    assert list(consumer_findings(info(num_pending=1000))) == []
    assert list(consumer_findings(info(num_ack_pending=10))) == []
    for state in ({"num_ack_pending": 10, "num_pending": 5}, {"paused": True}):
        [finding] = consumer_findings(info(**state))
        assert (finding.name, finding.status) == ("nats.consumer.s/c", CheckStatus.WARNING)
        assert_can_be_mended(finding)


def test_another_version_than_the_wanted_one() -> None:
    assert version_finding("2.15.1", "2.15.1").status is CheckStatus.OK
    other = version_finding("2.12.0", "2.15.1")
    assert other.status is CheckStatus.WARNING
    assert_can_be_mended(other)


@pytest.mark.live
async def test_a_real_server_with_a_full_stream_and_a_stalled_consumer(live: NatsLive) -> None:
    reader = {"name": route().consumer, "max_ack_pending": 1}
    await apply(live, project(stream(max_messages=3, discard="new", consumers=[reader])))
    await live.publish([OutgoingMessage("departures.x", b"")] * 3)
    async with live.consume(route()) as consumption:
        await consumption.fetch(max_messages=1, max_wait_s=5)
    findings = {finding.name: finding for finding in await live.check()}
    assert findings["nats.connection"].facts["latency_ms"]
    assert findings["nats.version"].summary == f"nats-server {COMPONENT.default_version}"
    assert findings["nats.storage.file"].status is CheckStatus.OK
    assert findings["nats.stream.departures"].status is CheckStatus.FAILED
    assert findings[f"nats.consumer.departures/{route().consumer}"].facts == {
        "unacknowledged": 1,
        "lag": 2,
        "redelivered": 0,
    }


@pytest.mark.live
async def test_a_real_server_of_another_version_than_the_project_pins(server: NatsServer) -> None:
    async with NatsComponent(version="2.99.0").connect(server.endpoint, "flights") as connected:
        findings = {finding.name: finding for finding in await cast(NatsLive, connected).check()}
    assert findings["nats.version"].status is CheckStatus.WARNING
