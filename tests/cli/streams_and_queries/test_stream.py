"""`thedata stream` on a real broker."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.streams_and_queries.conftest import Run, RunInside, started

pytestmark = pytest.mark.live

_flights = itertools.count(1)


def departure(**values: Any) -> dict[str, Any]:
    """Return a message that no other test has published."""
    return {"scheduled_at": "2013-01-01T10:15:00Z", "flight": next(_flights), "origin": "JFK", **values}


def lines(messages: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(message) + "\n" for message in messages)


def last_messages(run: Run, stream: str, count: int, *options: str) -> list[dict[str, Any]]:
    done = run("stream", "tail", stream, "--last", str(count), "--limit", str(count), "-o", "json", *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def sequence(run: Run, stream: str) -> int:
    return int(json.loads(run("stream", "info", stream, "-o", "json").stdout)["last_sequence"])


def test_what_is_published_is_in_the_stream_in_order_each_on_its_subject(run: Run) -> None:
    messages = [departure(origin=origin) for origin in ("JFK", "LGA", "EWR")]
    done = run("stream", "pub", "departures", "-o", "json", stdin=lines(messages))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {**report, "seconds": 0} == {
        "schema": "thedata/pub/1", "published": 3, "duplicates": 0, "skipped": 0, "seconds": 0,
    }  # fmt: skip
    found = last_messages(run, "departures", 3)
    assert [message["payload"] for message in found] == messages
    assert [message["subject"] for message in found] == [f"flights.departures.{m['origin']}" for m in messages]


def test_publishing_the_same_input_again_changes_nothing(run: Run) -> None:
    text = lines([departure(), departure()])
    assert run("stream", "pub", "departures", stdin=text).returncode == 0
    before = sequence(run, "departures")
    done = run("stream", "pub", "departures", stdin=text)
    assert "published 0 messages" in done.stdout
    assert "2 were there already" in done.stdout
    assert sequence(run, "departures") == before


def test_a_line_that_breaks_the_contract_is_named_and_nothing_before_it_is_lost(run: Run) -> None:
    before = sequence(run, "departures")
    good = [departure(), departure(), departure()]
    text = lines(good[:2]) + "\n" + lines([departure(flight="one"), good[2]])
    done = run("stream", "pub", "departures", stdin=text)
    assert done.returncode == 1
    assert "line 4 breaks the contract departures: Expected `int`, got `str` - at `$.flight`" in done.stderr
    assert '"flight": "one"' in done.stderr
    assert [message["payload"] for message in last_messages(run, "departures", 2)] == good[:2]
    assert sequence(run, "departures") == before + 2


def test_lines_that_break_the_contract_can_be_left_out(run: Run) -> None:
    good = [departure(), departure()]
    text = lines(good[:1]) + "no json\n" + lines([departure(unknown=1)]) + lines(good[1:])
    done = run("stream", "pub", "departures", "--skip-invalid", stdin=text)
    assert done.returncode == 0
    assert "2 broke the contract and were skipped" in done.stdout
    assert "skipped: line 2 " in done.stderr
    assert "skipped: line 3 breaks the contract departures" in done.stderr
    assert [message["payload"] for message in last_messages(run, "departures", 2)] == good


def test_an_error_in_json_mode_leaves_stdout_empty(run: Run) -> None:
    done = run("stream", "pub", "departures", "{}", "-o", "json", "--subject", "flights.departures.JFK")
    assert (done.returncode, done.stdout) == (1, "")
    assert json.loads(done.stderr)["error"]["code"] == "invalid_message"


def test_a_value_that_cannot_be_part_of_a_subject_is_refused(run: Run) -> None:
    done = run("stream", "pub", "departures", json.dumps(departure(origin="J F.K")))
    assert done.returncode == 1
    assert "origin is 'J F.K', which is no token" in done.stderr


def test_a_stream_with_one_subject_needs_no_other_word_and_takes_any_payload(run: Run) -> None:
    assert run("stream", "pub", "notes", " not json \\").returncode == 0
    (message,) = last_messages(run, "notes", 1)
    assert message["subject"] == "notes"
    assert message["payload_base64"] == "IG5vdCBqc29uIFw="


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pub", "places", "{}"), "the messages need a subject; stream places has places.*"),
        (("pub", "places", "{}", "--subject", "elsewhere"), "stream places has no subject 'elsewhere'"),
        (("pub", "places", "{}", "--subject", "places.>"), "is a pattern"),
        (("pub", "departure", "{}"), "there is no stream 'departure'"),
        (("info", "departure"), "did you mean 'departures'?"),
        (("tail", "departures", "--last", "1", "--since", "5m"), "say different beginnings"),
        (("tail", "departures", "--since", "yesterday"), "no age and no time"),
    ],
)
def test_what_does_not_fit_is_a_usage_error(run_inside: RunInside, arguments: tuple[str, ...], message: str) -> None:
    done = run_inside("stream", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_many_messages_are_published_fast_and_all_of_them_arrive(run: Run) -> None:
    before = sequence(run, "departures")
    messages = [departure() for _ in range(20_000)]
    report = json.loads(run("stream", "pub", "departures", "-o", "json", stdin=lines(messages)).stdout)
    assert report["published"] == 20_000
    assert sequence(run, "departures") == before + 20_000
    done = run("stream", "tail", "departures", "--from-seq", str(before + 1), "--limit", "20000", "-o", "json")
    assert [json.loads(line)["payload"] for line in done.stdout.splitlines()] == messages


def test_the_rate_is_kept(run: Run) -> None:
    report = json.loads(
        run(
            "stream", "pub", "departures", "--rate", "50", "-o", "json", stdin=lines(departure() for _ in range(30))
        ).stdout
    )
    assert report["published"] == 30
    assert report["seconds"] >= 0.5


def test_tail_for_people_shows_subject_sequence_and_headers(run: Run) -> None:
    message = departure()
    run("stream", "pub", "departures", json.dumps(message))
    done = run("stream", "tail", "departures", "--last", "1", "--limit", "1", "--headers")
    first, second = done.stdout.splitlines()
    place = f"  flights.departures.JFK  {sequence(run, 'departures')}  "
    assert place + json.dumps(message, separators=(",", ":")) in first
    assert second.strip().startswith("Nats-Msg-Id: departures|")


def test_tail_begins_where_it_is_told_to(run: Run) -> None:
    messages = [departure(origin=origin) for origin in ("TWO", "ONE", "TWO")]
    run("stream", "pub", "departures", stdin=lines(messages))
    options = ("--subject", "flights.departures.TWO")
    assert [m["payload"] for m in last_messages(run, "departures", 2, *options)] == [messages[0], messages[2]]
    done = run("stream", "tail", "departures", "--since", "1h", "--limit", "1", "-o", "json", *options)
    assert json.loads(done.stdout)["payload"] == messages[0]


def test_tail_prints_what_comes_from_now_on_and_ends_with_its_reader(run: Run, project: Path) -> None:
    with started("stream", "tail", "notes", "-o", "json", cwd=project) as tail:
        assert tail.stdout
        assert tail.stderr
        for number in itertools.count():
            # It begins at some moment after it was started; from then on it prints everything.
            run("stream", "pub", "notes", str(number))
            if _has_output(tail.stdout.fileno()):
                break
        assert isinstance(json.loads(tail.stdout.readline())["payload"], int)
        tail.stdout.close()
        # Nothing more is published: that nobody reads any longer is noticed without a next line.
        assert tail.wait(30) == 0
        assert tail.stderr.read() == b""


def _has_output(descriptor: int) -> bool:
    import select

    return bool(select.select([descriptor], [], [], 0.05)[0])


def test_ctrl_c_ends_a_tail_with_130(run: Run, project: Path) -> None:
    import signal

    run("stream", "pub", "departures", json.dumps(departure()))
    with started("stream", "tail", "departures", "--from-seq", "1", cwd=project) as tail:
        assert tail.stdout
        assert tail.stderr
        assert tail.stdout.readline()
        tail.send_signal(signal.SIGINT)
        tail.stdout.read()
        assert tail.wait(30) == 130
        assert b"Traceback" not in tail.stderr.read()


def test_ls_and_info_tell_messages_and_bytes(run: Run) -> None:
    streams = {stream["name"]: stream for stream in json.loads(run("stream", "ls", "-o", "json").stdout)["streams"]}
    assert {"departures", "notes", "places"} <= streams.keys()
    info = json.loads(run("stream", "info", "departures", "-o", "json").stdout)
    assert info["schema"] == "thedata/stream/1"
    assert info["bytes"] >= streams["departures"]["bytes"] >= 0
    assert info["config"]["subjects"] == ["flights.departures.>"]
    listing = run("stream", "ls").stdout.splitlines()
    assert listing[0].split()[:3] == ["STREAM", "SUBJECTS", "MESSAGES"]
    assert any(line.startswith("departures ") for line in listing)
    assert run("stream", "info", "departures").stdout.startswith("Stream departures\n")


def test_a_broker_that_is_down_is_told_with_its_address(tmp_path: Path, project: Path) -> None:
    import shutil

    from tests.cli.conftest import thedata

    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    ports = copy / ".thedata" / "embedded" / "ports.json"
    ports.write_text(json.dumps({**json.loads(ports.read_text()), "nats": {"client": 1, "monitor": 2}}))
    began = time.monotonic()
    done = thedata("stream", "ls", cwd=copy)
    assert done.returncode == 4
    assert "127.0.0.1:1" in done.stderr
    assert time.monotonic() - began < 60
