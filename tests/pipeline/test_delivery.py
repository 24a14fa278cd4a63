"""Every message arrives once, whatever is killed: on a real broker, and on every store."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest

from tests.pipeline.conftest import Platform
from tests.pipeline.sqlite_store import UNWELCOME

pytestmark = pytest.mark.live


async def test_every_message_arrives_once_and_is_acknowledged(platform: Platform) -> None:
    await platform.create()
    await platform.publish(range(1000))
    worker = platform.start_worker()
    assert await platform.arrived(1000) == list(range(1000))
    await platform.publish(range(1000, 1010))
    assert await platform.arrived(1010) == list(range(1010))
    health = await worker.until(state="running", rows=1010, lag_seconds=0)
    assert (health["dead_letters"], health["retries"], health["last_error"]) == (0, 0, "")


async def test_bad_messages_become_dead_letters_once_and_good_ones_pass(platform: Platform) -> None:
    await platform.create()
    await platform.publish(range(100))
    await platform.publish_raw(
        [b"no json", b'{"at":"2026-01-01T12:00:00Z","sensor":"cellar","number":-1}', b"\xff\x00"]
    )
    await platform.publish(range(100, 200))
    worker = platform.start_worker()
    assert await platform.arrived(200) == list(range(200))
    await worker.until(rows=200, dead_letters=3)
    letters = await platform.dead_letters(3)
    assert [letter.payload[:10] for letter in letters] == [b"no json", b'{"at":"202', b"\xff\x00"]
    headers = letters[1].headers
    assert headers["Thedata-Error"] == "Expected `int` >= 0 - at `$.number`"
    assert (headers["Thedata-Stream"], headers["Thedata-Sequence"]) == (platform.name, "102")
    assert headers["Thedata-Table"] == f"{platform.store.engine}/{platform.name}"


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_rows_that_the_store_does_not_accept_become_dead_letters(platform: Platform) -> None:
    # What an engine does not accept is a test of its writer.
    await platform.create()
    await platform.publish([1, UNWELCOME + 1, 2])
    platform.start_worker()
    assert await platform.arrived(2) == [1, 2]
    (letter,) = await platform.dead_letters(1)
    assert letter.headers["Thedata-Error"] == f"number {UNWELCOME + 1} does not fit"


async def test_a_worker_that_starts_before_apply_waits_and_says_for_what(platform: Platform) -> None:
    worker = platform.start_worker()
    health = await worker.until(state="waiting")
    assert platform.route.consumer in health["reason"]
    assert "thedata apply" in health["reason"]
    await platform.create_stream()
    await platform.publish(range(10))
    health = await worker.until(state="retrying")
    assert health["reason"].startswith(platform.store.engine)
    await platform.store.create_table(platform.route)
    assert await platform.arrived(10) == list(range(10))
    await worker.until(state="running", rows=10)


async def test_nothing_is_lost_or_doubled_when_workers_are_killed(platform: Platform) -> None:
    await platform.create(ack_wait_s=1.5, max_batch=100)
    total = 4000
    publishing = asyncio.create_task(publish_in_parts(platform, total))
    chance = random.Random(platform.store.engine)
    for _ in range(3):
        worker = platform.start_worker()
        await worker.until(state="running")
        await asyncio.sleep(chance.uniform(0.0, 0.3))
        worker.kill()
    await publishing
    platform.start_worker()
    assert await platform.arrived(total) == list(range(total))


async def test_what_was_written_and_not_acknowledged_is_not_written_again(platform: Platform) -> None:
    await platform.create(ack_wait_s=1.5, max_batch=100)
    await platform.publish(range(500))
    for _ in range(2):
        worker = platform.start_worker(signal_after=1)
        await asyncio.to_thread(worker.process.wait, 30)
    platform.start_worker()
    assert await platform.arrived(500) == list(range(500))


async def test_nothing_is_lost_or_doubled_when_the_store_is_killed(platform: Platform) -> None:
    await platform.create(ack_wait_s=1.5, max_batch=100)
    total = 4000
    worker = platform.start_worker()
    publishing = asyncio.create_task(publish_in_parts(platform, total))
    await worker.until(state="running")
    platform.store.kill()
    await publishing
    health = await worker.until(state="retrying")
    assert health["reason"].startswith(platform.store.engine)
    platform.store.start()
    assert await platform.arrived(total) == list(range(total))
    await worker.until(state="running")
    states = [line.split(": ")[1] for line in worker.log if platform.name in line]
    assert len(states) < 12, states


async def test_nothing_is_lost_or_doubled_when_the_broker_is_killed(platform: Platform) -> None:
    await platform.create(ack_wait_s=1.5, max_batch=100)
    total = 4000
    await publish_in_parts(platform, total)
    workers = [platform.start_worker(), platform.start_worker()]
    for _ in range(2):
        for worker in workers:
            await worker.until(state="running")
        platform.broker.kill()
        for worker in workers:
            await worker.until(state="waiting")
        platform.broker.start()
    assert await platform.arrived(total) == list(range(total))


async def test_two_workers_at_the_same_time_do_no_harm(platform: Platform) -> None:
    await platform.create(max_batch=50)
    workers = [platform.start_worker(), platform.start_worker()]
    for worker in workers:
        await worker.until(state="running")
    await publish_in_parts(platform, 3000)
    assert await platform.arrived(3000) == list(range(3000))
    shares = [(await worker.health())["rows"] for worker in workers]
    assert sum(shares) == 3000


async def test_a_worker_that_slept_while_another_did_its_work_does_no_harm(platform: Platform) -> None:
    await platform.create(max_batch=100, ack_wait_s=1.5)
    await platform.publish(range(300))
    sleeper = platform.start_worker(signal_after=1, number=signal.SIGSTOP)
    assert len(await platform.visible(100)) == 100
    platform.start_worker()
    assert await platform.arrived(300) == list(range(300))
    sleeper.process.send_signal(signal.SIGCONT)
    await sleeper.until(state="running", lag_seconds=0)
    assert await platform.numbers() == list(range(300))


async def test_a_worker_stops_within_seconds_with_its_batch_stored(platform: Platform) -> None:
    await platform.create(max_wait_s=30.0)
    worker = platform.start_worker()
    await worker.until(state="starting")
    await platform.publish(range(10))
    assert worker.terminate() < 5
    assert worker.process.returncode == 0
    worker = platform.start_worker()
    await platform.publish(range(10, 400))
    await worker.until(state="running")
    assert worker.terminate() < 5
    assert any("worker: stopped" in line for line in worker.log)


async def publish_in_parts(platform: Platform, total: int) -> None:
    for first in range(0, total, 500):
        await platform.publish(range(first, first + 500))
