"""The feeds of the `host-metrics` blueprint print readings of this machine, as their contracts want them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import datetime

import psutil
import pytest

from tests.blueprints.feeds import CLEAN, Feeds

HOST_METRICS = Feeds.of("host-metrics")
FEEDS = ("cpu", "memory", "disk", "filesystem", "network")
OTHER_MACHINES = """
import collections, runpy, sys, psutil
sys.path.insert(0, "feeds")
{change}
sys.argv = ["feed", "--count", "2", "--interval", "0.2"]
runpy.run_path("feeds/{feed}.py", run_name="__main__")
"""


@pytest.mark.parametrize("feed", FEEDS)
def test_every_message_keeps_its_contract_and_has_a_key_of_its_own(feed: str) -> None:
    decoder = HOST_METRICS.contract(feed).decoder
    lines = HOST_METRICS.printed_by(f"feeds/{feed}.py", "--count", "2", "--interval", "0.2")
    assert len({decoder.message_id(decoder.decode(line)) for line in lines}) == len(lines)
    times = {json.loads(line)["observed_at"] for line in lines}
    assert len(times) == 2, "all messages of a reading have the same time"
    for time in times:
        assert datetime.fromisoformat(time).isoformat(timespec="microseconds") == time.replace("Z", "+00:00")


def test_the_shares_of_a_core_add_up_and_all_cores_are_there() -> None:
    messages = [json.loads(line) for line in HOST_METRICS.printed_by("feeds/cpu.py", "--count", "1")]
    cores = [message["core"] for message in messages]
    assert cores == ["cpu-total", *(f"cpu{number}" for number in range(psutil.cpu_count() or 0))]
    for message in messages:
        shares = [share for name, share in message.items() if name.endswith("_percent") and name != "busy_percent"]
        assert sum(shares) == pytest.approx(100, abs=0.1)
    assert messages[0]["load_1m"] >= 0
    assert "load_1m" not in messages[1]


def test_file_systems_are_as_full_as_the_system_says() -> None:
    messages = [json.loads(line) for line in HOST_METRICS.printed_by("feeds/filesystem.py", "--count", "1")]
    assert messages
    for message in messages:
        usage = psutil.disk_usage(message["mount"])
        assert message["size_bytes"] == usage.total
        assert message["used_percent"] == pytest.approx(usage.percent, abs=1)


@pytest.mark.parametrize("feed", ["cpu", "network"])
def test_a_reader_that_has_had_enough_ends_a_feed_quietly(feed: str) -> None:
    HOST_METRICS.assert_ends_quietly_without_a_reader(f"feeds/{feed}.py", "--interval", "0.01")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_feed_that_is_told_to_stop_ends_quietly_after_a_whole_line(number: signal.Signals) -> None:
    with HOST_METRICS.started("feeds/cpu.py", "--interval", "0.01") as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        rest, complaints = process.communicate(timeout=30)
    assert complaints == b""
    assert process.returncode == 0
    assert not rest or rest.endswith(b"}\n")


@pytest.mark.parametrize("value", ["0", "-1", "nan", "often"])
def test_an_interval_that_makes_no_sense_is_refused(value: str) -> None:
    command = [sys.executable, "feeds/cpu.py", f"--interval={value}"]
    result = subprocess.run(command, cwd=HOST_METRICS.directory, capture_output=True, check=False, env=CLEAN)
    assert result.returncode == 2
    assert b"--interval" in result.stderr


@pytest.mark.parametrize(
    ("feed", "change", "count"),
    [
        ("disk", "psutil.disk_io_counters = lambda perdisk: None", 0),
        ("network", "psutil.net_io_counters = lambda pernic: {}", 0),
        ("filesystem", "psutil.disk_partitions = lambda: []", 2),
        ("filesystem", "psutil.disk_usage = lambda mount: open('/nowhere/at/all')", 0),
    ],
)
def test_a_machine_without_counters_is_read_as_far_as_it_goes(feed: str, change: str, count: int) -> None:
    lines = HOST_METRICS.printed_by("-c", OTHER_MACHINES.format(feed=feed, change=change))
    assert len(lines) == count
    for line in lines:
        HOST_METRICS.contract(feed).decoder.decode(line)


def test_a_system_that_tells_fewer_modes_apart_keeps_the_contract() -> None:
    change = (
        "times = collections.namedtuple('scputimes', 'user nice system idle')\n"
        "seconds = iter(range(100))\n"
        "psutil.cpu_times = lambda percpu: [times(5, 0, 5, 90 + next(seconds))]"
    )
    lines = HOST_METRICS.printed_by("-c", OTHER_MACHINES.format(feed="cpu", change=change))
    assert len(lines) == 4
    for line in lines:
        HOST_METRICS.contract("cpu").decoder.decode(line)
        assert json.loads(line)["busy_percent"] == 0


def test_a_missing_package_is_told_with_the_command_that_installs_it() -> None:
    HOST_METRICS.assert_names_the_missing_package("feeds/cpu.py", "pip install psutil")
