"""From the broker through streaming SQL into tables, with everything real, and what happens when parts of it die."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.streaming.conftest import TOTALS, Sensors
from thedata_cli.errors import TheDataError

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("streaming")]


def test_rows_come_change_and_go(sensors: Sensors) -> None:
    sensors.publish([("cellar", 1, 5), ("attic", 1, 3)])
    sensors.follow()
    hour = "2026-01-01T00:00:00+00:00"
    rows = [row for row in sensors.rows("clickhouse", TOTALS["clickhouse"]) if row[1] in ("cellar", "attic")]
    assert rows == [(hour, "attic", 1, 3), (hour, "cellar", 1, 5)]
    sensors.publish([("cellar", 2, 7), ("attic", 2, -3)])
    sensors.eventually(
        lambda: (
            [row for row in sensors.rows("questdb", TOTALS["questdb"]) if row[1] in ("cellar", "attic")]
            == [(hour, "cellar", 2, 12)]
        )
    )
    sensors.follow()
    assert "No changes" in sensors.run("plan")


def test_a_message_that_comes_twice_counts_once(sensors: Sensors) -> None:
    for _ in range(2):
        sensors.publish([("twice", 1, 5)])
    sensors.publish([("twice", 2, 1)])
    sensors.follow()
    assert [row[2:] for row in sensors.rows("materialize", TOTALS["materialize"]) if row[1] == "twice"] == [(2, 6)]


@pytest.mark.parametrize("service", ["worker", "materialize", "questdb"])
def test_a_part_that_is_killed_under_load_loses_nothing(sensors: Sensors, service: str) -> None:
    readings = [(f"{service}-{number % 40}", number // 40, number % 7 + 1) for number in range(20_000)]
    sensors.publish(readings[:10_000])
    sensors.process_of(service).kill()
    sensors.publish(readings[10_000:])

    def is_whole() -> bool:
        try:
            found = sensors.rows("materialize", TOTALS["materialize"])
        except TheDataError:
            return False
        return bool(sum(row[2] for row in found if row[1].startswith(service)) == len(readings))

    sensors.eventually(is_whole, within_s=90)
    sensors.follow(within_s=90)
    counted = f"SELECT count(), uniqExact(sensor, at) FROM readings WHERE startsWith(sensor, '{service}-')"
    sensors.eventually(lambda: sensors.rows("clickhouse", counted) == [(len(readings), len(readings))])


def test_a_server_that_has_forgotten_everything_is_filled_again(sensors: Sensors) -> None:
    sensors.publish([("refill", minute, 1) for minute in range(3000)])
    sensors.follow()
    before = sensors.rows("materialize", TOTALS["materialize"])
    sensors.run("down")
    shutil.rmtree(sensors.directory / ".thedata" / "data" / "materialize")
    said = sensors.run("up")
    assert "deleted nats/consumer/readings/readings-materialize-readings_raw" in said
    assert "refill" in said
    assert sensors.rows("materialize", TOTALS["materialize"]) == before
    sensors.follow()
    assert "No changes" in sensors.run("plan")


def test_a_view_that_cannot_be_computed_is_named_with_the_row_and_holds_up_nothing_else(sensors: Sensors) -> None:
    sensors.publish([("share-a", 1, 20)])
    sensors.eventually(lambda: sensors.rows("clickhouse", "SELECT sensor, share FROM shares FINAL") == [("share-a", 5)])
    sensors.publish([("share-b", 1, 0), ("poison", 1, 1)])
    sensors.follow()
    assert [row[1] for row in sensors.rows("clickhouse", TOTALS["clickhouse"]) if row[1] == "poison"] == ["poison"]
    doctor = json.loads(sensors.run("doctor", "--output", "json", code=5))
    failed = {check["name"]: check for check in doctor["groups"]["stack"] if check["status"] == "failed"}
    assert set(failed) == {"materialize.views", "pipelines.shares-clickhouse-shares"}
    for check in failed.values():
        assert "division by zero" in check["cause"]
        assert "share-b" in check["cause"]
    refused = sensors.run("query", "materialize", "SELECT * FROM shares", code=1)
    assert "division by zero" in refused
    assert "share-b" in refused
    view = sensors.directory / "views" / "shares.sql"
    view.write_text(view.read_text().replace("100 / number", "CASE WHEN number = 0 THEN 0 ELSE 100 / number END"))
    sensors.run("apply", "--yes")
    mended = [("share-a", 5), ("share-b", 0)]
    sensors.eventually(lambda: sensors.rows("clickhouse", "SELECT sensor, share FROM shares FINAL") == mended)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("readings_raw", b'{"a": 1}', 400, "failed to validate the request"),
        ("nowhere", b'{"a": 1}', 404, "no object was found"),
        ("readings_raw", b"x" * (5 * 2**20 + 1), 413, "length limit exceeded"),
    ],
)
def test_what_others_post_is_refused(sensors: Sensors, path: str, body: bytes, status: int, words: str) -> None:
    url = dict(line.split("=", 1) for line in sensors.run("env").splitlines() if "=" in line)["MATERIALIZE_HTTP_URL"]
    request = urllib.request.Request(f"{url.strip(chr(34))}/api/webhook/materialize/public/{path}", data=body)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=10)
    assert refusal.value.code == status
    assert words in refusal.value.read().decode()


def test_the_secret_is_told_nowhere(sensors: Sensors) -> None:
    secret = (sensors.directory / "secrets" / "webhook_key").read_text().strip()
    said = sensors.run("plan") + sensors.run(
        "query", "materialize", "SELECT create_sql FROM mz_sources", "--format", "json"
    )
    logs = "".join(file.read_text(errors="replace") for file in _files(sensors.directory / ".thedata" / "logs"))
    assert secret not in said + logs
    assert "webhook_key" in said


def _files(directory: Path) -> list[Path]:
    return [file for file in directory.rglob("*") if file.is_file()]
