"""`thedata stream tail --view` on a running Materialize."""

from __future__ import annotations

import json
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from tests.cli.conftest import running_project, thedata, write_files
from tests.cli.streams_and_queries.conftest import started
from thedata_cli.cli.commands import app

pytestmark = pytest.mark.live

FILES = {
    "thedata.yaml": "name: watched\ncomponents: {materialize: {}}\n",
    "views/cluster.sql": "CREATE CLUSTER small (SIZE = '25cc');\n",
    "views/readings.sql": "CREATE TABLE readings (place text, value int);\n",
    "views/highest.sql": """\
CREATE MATERIALIZED VIEW highest IN CLUSTER small AS
SELECT place, max(value) AS value FROM readings GROUP BY place;
""",
    "views/texts.sql": "CREATE TABLE texts (id int, value text);\n",
    "views/numbers.sql": "CREATE MATERIALIZED VIEW numbers IN CLUSTER small AS SELECT value::int AS n FROM texts;\n",
    "views/many.sql": "CREATE TABLE many (n int);\n",
}

Execute = Callable[[str], None]


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_project(write_files(tmp_path_factory.mktemp("view_tail") / "watched", FILES)) as directory:
        yield directory


@pytest.fixture(scope="session")
def execute(watched: Path) -> Iterator[Execute]:
    """Run SQL in the running Materialize."""
    port = json.loads((watched / ".thedata" / "embedded" / "ports.json").read_text())["materialize"]["sql"]
    with psycopg.connect(f"postgresql://materialize@127.0.0.1:{port}/materialize", autocommit=True) as connection:

        def _execute(sql: str) -> None:
            connection.execute(sql.encode())

        yield _execute


@pytest.fixture(autouse=True)
def empty(execute: Execute) -> None:
    execute("DELETE FROM readings")
    execute("DELETE FROM texts")


def tail(watched: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return thedata("stream", "tail", "--view", *arguments, cwd=watched)


def complain(watched: Path, *arguments: str) -> Result:
    """Run the program in the test's own process, which spares its start; for commands that only complain."""
    line = ["stream", "tail", *arguments, "--project", str(watched)]
    return CliRunner().invoke(app, line, prog_name="thedata")


def read_changes(output: IO[bytes] | None, count: int) -> list[dict[str, Any]]:
    assert output
    return [json.loads(output.readline()) for _ in range(count)]


def test_without_following_it_is_the_view_as_it_is(watched: Path, execute: Execute) -> None:
    execute("INSERT INTO readings VALUES ('a', 1), ('a', 3), ('b', 2)")
    done = tail(watched, "highest", "--no-follow")
    assert (done.returncode, done.stderr) == (0, "")
    rows = sorted(line.split("  ", 1)[1] for line in done.stdout.splitlines())
    assert rows == ['+  {"place":"a","value":3}', '+  {"place":"b","value":2}']
    by_key = tail(watched, "materialize/highest", "--no-follow", "--key", "place", "-o", "json")
    lines = sorted((json.loads(line) for line in by_key.stdout.splitlines()), key=lambda line: line["key"]["place"])
    assert lines == [
        {
            "view": "highest",
            "time": lines[0]["time"],
            "is_snapshot": True,
            "operation": "upsert",
            "key": {"place": place},
            "row": row,
        }
        for place, row in (("a", {"place": "a", "value": 3}), ("b", {"place": "b", "value": 2}))
    ]


def test_an_empty_view_is_nothing(watched: Path) -> None:
    done = tail(watched, "highest", "--no-follow")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_after_the_view_as_it_is_come_its_changes(watched: Path, execute: Execute) -> None:
    execute("INSERT INTO readings VALUES ('a', 1)")
    line = ("stream", "tail", "--view", "highest", "--snapshot", "--limit", "4", "-o", "json")
    with started(*line, cwd=watched) as process:
        (first,) = read_changes(process.stdout, 1)
        assert (first["is_snapshot"], first["diff"], first["row"]) == (True, 1, {"place": "a", "value": 1})
        execute("INSERT INTO readings VALUES ('a', 5)")
        gone, came = sorted(read_changes(process.stdout, 2), key=lambda change: change["diff"])
        assert (gone["is_snapshot"], gone["diff"], gone["row"]) == (False, -1, {"place": "a", "value": 1})
        assert (came["diff"], came["row"]) == (1, {"place": "a", "value": 5})
        assert first["time"] < gone["time"] == came["time"]
        execute("DELETE FROM readings")
        (last,) = read_changes(process.stdout, 1)
        assert (last["diff"], last["row"]) == (-1, {"place": "a", "value": 5})
        assert process.wait(30) == 0


def test_by_key_a_row_that_changes_is_told_once(watched: Path, execute: Execute) -> None:
    execute("INSERT INTO readings VALUES ('a', 1), ('b', 2)")
    line = ("stream", "tail", "--view", "highest", "--snapshot", "--key", "place", "-o", "json")
    with started(*line, cwd=watched) as process:
        read_changes(process.stdout, 2)
        execute("INSERT INTO readings VALUES ('a', 5)")
        (change,) = read_changes(process.stdout, 1)
        assert (change["operation"], change["row"]) == ("upsert", {"place": "a", "value": 5})
        execute("DELETE FROM readings WHERE place = 'b'")
        (change,) = read_changes(process.stdout, 1)
        assert (change["operation"], change["key"], change["row"]) == ("delete", {"place": "b"}, None)


def test_copies_of_a_row_are_counted(watched: Path, execute: Execute) -> None:
    execute("INSERT INTO readings VALUES ('a', 1), ('a', 1), ('a', 1)")
    done = tail(watched, "readings", "--no-follow")
    assert done.stdout.split("  ", 1)[1] == '+3  {"place":"a","value":1}\n'


def test_it_begins_with_what_comes_from_now_on_and_ends_with_its_reader(watched: Path, execute: Execute) -> None:
    execute("INSERT INTO readings VALUES ('old', 0)")
    with started("stream", "tail", "--view", "readings", "-o", "json", cwd=watched) as process:
        assert process.stdout
        assert process.stderr
        for number in range(1, 10_000):
            # It begins at some moment after it was started; from then on it prints everything.
            execute(f"INSERT INTO readings VALUES ('new', {number})")
            if select.select([process.stdout], [], [], 0.05)[0]:
                break
        (change,) = read_changes(process.stdout, 1)
        assert (change["is_snapshot"], change["row"]["place"]) == (False, "new")
        process.stdout.close()
        # Nothing more comes: that nobody reads any longer is noticed without a next line.
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("form", ["json", "human"])
def test_a_closed_pipe_ends_a_large_view_quietly(watched: Path, execute: Execute, form: str) -> None:
    execute("INSERT INTO many SELECT i FROM generate_series(1, 50000) AS t(i)")
    with started("stream", "tail", "--view", "many", "--snapshot", "-o", form, cwd=watched) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_ctrl_c_ends_it_with_130(watched: Path, execute: Execute) -> None:
    execute("INSERT INTO readings VALUES ('a', 1)")
    with started("stream", "tail", "--view", "readings", "--snapshot", cwd=watched) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == b"interrupted; the command can be run again\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--view", "higest"), "did you mean 'highest'? A new one is a file views/higest.sql"),
        (("--view", "clickhouse/highest"), "the project has no view 'clickhouse/highest'"),
        (("--view", "small"), "small is no view: a cluster has no rows that change"),
        (("--view", "highest", "--last", "3"), "--last is for streams, not for views"),
        (("--view", "highest", "--since", "5m"), "--since is for streams, not for views"),
        (("--view", "highest", "--key", "a,,b"), "names an empty column"),
        (("--view", "highest", "--key", "place", "--key", "value,place"), "--key names place twice"),
        (("highest", "--view", "highest"), "are two things to follow"),
        (("highest", "--snapshot"), "--snapshot is for views"),
        (("highest", "--key", "place"), "--key is for views"),
        ((), "give a STREAM, or a view with --view"),
    ],
)
def test_what_does_not_fit_is_a_usage_error(watched: Path, arguments: tuple[str, ...], message: str) -> None:
    done = complain(watched, *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_a_column_that_the_view_has_not_is_told_with_those_it_has(watched: Path) -> None:
    done = tail(watched, "highest", "--key", "places")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no column places" in done.stderr
    assert "place, value" in done.stderr


def test_a_key_that_two_rows_share_is_told(watched: Path, execute: Execute) -> None:
    execute("INSERT INTO readings VALUES ('a', 1), ('a', 2)")
    done = tail(watched, "readings", "--key", "place", "--no-follow")
    assert (done.returncode, done.stdout) == (1, "")
    assert "two rows with the same key: (place) = ('a')" in done.stderr


def test_a_view_that_cannot_be_computed_is_told_with_the_row_at_fault(watched: Path, execute: Execute) -> None:
    execute("INSERT INTO texts VALUES (1, '1')")
    with started("stream", "tail", "--view", "numbers", "--snapshot", cwd=watched) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline()
        execute("INSERT INTO texts VALUES (7, 'seven')")
        assert process.wait(30) == 1
        complaint = process.stderr.read().decode()
    assert 'invalid input syntax for type integer: "seven"' in complaint
    assert '{"id": 7, "value": "seven"}' in complaint


def test_a_view_that_is_not_there_yet_is_to_be_applied(watched: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(watched, copy, ignore=shutil.ignore_patterns("data"))
    (copy / "views" / "later.sql").write_text("CREATE VIEW later AS SELECT 1 AS one;\n")
    done = tail(copy, "later")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no view later" in done.stderr
    assert "thedata apply" in done.stderr


def test_a_server_that_is_down_is_told_with_its_address(watched: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(watched, copy, ignore=shutil.ignore_patterns("data"))
    (copy / ".thedata" / "embedded" / "ports.json").write_text(json.dumps({"materialize": {"sql": 1, "http": 2}}))
    done = tail(copy, "highest", "-o", "json")
    assert (done.returncode, done.stdout) == (4, "")
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "service_unreachable"
    assert "127.0.0.1:1" in error["message"]
