"""`thedata query` on real engines."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.cli.streams_and_queries.conftest import Run, RunInside, started

pytestmark = pytest.mark.live

ROWS = "SELECT number AS n, concat('row ', toString(number)) AS name FROM numbers(3) ORDER BY n"
QUESTDB_ROWS = "SELECT x - 1 AS n, 'row ' || (x - 1) AS name FROM long_sequence(3)"

on_each_engine = pytest.mark.parametrize(
    ("engine", "sql"), [("clickhouse", ROWS), ("questdb", QUESTDB_ROWS)], ids=["clickhouse", "questdb"]
)


@on_each_engine
def test_a_table_for_people_and_the_count_on_stderr(run: Run, engine: str, sql: str) -> None:
    done = run("query", engine, sql)
    assert done.stdout == "n  name\n0  row 0\n1  row 1\n2  row 2\n"
    assert re.fullmatch(r"3 rows in \d+\.\d\d s\n", done.stderr)
    assert done.returncode == 0


@on_each_engine
def test_the_formats_for_programs(run: Run, engine: str, sql: str) -> None:
    expected = [{"n": number, "name": f"row {number}"} for number in range(3)]
    assert run("query", engine, sql, "--format", "csv").stdout == "n,name\n0,row 0\n1,row 1\n2,row 2\n"
    assert json.loads(run("query", engine, sql, "--format", "json").stdout) == expected
    assert [json.loads(line) for line in run("query", engine, sql, "-o", "jsonl").stdout.splitlines()] == expected
    assert run("query", engine, sql, "-o", "markdown").stdout.splitlines()[1:3] == ["| ---: | --- |", "| 0 | row 0 |"]


@on_each_engine
def test_parquet_is_a_file_of_the_engine(project: Path, engine: str, sql: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    with file.open("wb") as output:
        subprocess.run(
            [sys.executable, "-m", "thedata_cli", "query", engine, sql, "--format", "parquet"],
            cwd=project, stdout=output, check=True,
        )  # fmt: skip
    content = file.read_bytes()
    assert content[:4] == content[-4:] == b"PAR1"
    assert b"row 2" in content


def test_values_of_clickhouse_are_exact(run: Run) -> None:
    sql = (
        "SELECT toDecimal128('12345678901234567890.12', 2) AS d,"
        " toUInt256('340282366920938463463374607431768211456') AS u,"
        " toDateTime64('2013-01-01 10:15:00.25', 3, 'Europe/Berlin') AS t, nan AS f, NULL AS n,"
        " [1, 2] AS a, map('k', 1.5) AS m, (1, 'x') AS p, toUUID('5f0c7cfa-9c0a-4b3e-9a0e-0d3a8f1c2b4d') AS id,"
        " toIPv4('10.0.0.1') AS ip, true AS b, '' AS e"
    )
    line = run("query", "clickhouse", sql, "-o", "jsonl").stdout
    assert '"d":12345678901234567890.12' in line
    assert '"u":340282366920938463463374607431768211456' in line
    row = json.loads(line)
    assert row["t"] == "2013-01-01T09:15:00.250000Z"
    assert (row["f"], row["n"], row["a"], row["m"], row["p"]) == (None, None, [1, 2], {"k": 1.5}, [1, "x"])
    assert (row["id"], row["ip"]) == ("5f0c7cfa-9c0a-4b3e-9a0e-0d3a8f1c2b4d", "10.0.0.1")
    assert (row["b"], row["e"]) == (True, "")
    (record,) = csv.DictReader(io.StringIO(run("query", "clickhouse", sql, "-o", "csv").stdout))
    assert (record["f"], record["n"], record["a"], record["b"]) == ("NaN", "", "[1,2]", "true")


def test_values_of_questdb_are_exact(run: Run) -> None:
    sql = (
        "SELECT '2013-01-01T10:15:00.250000Z'::timestamp AS t, 9223372036854775807 AS l, null::int AS n, true AS b,"
        " 1.5 AS d, 'x'::symbol AS s, '5f0c7cfa-9c0a-4b3e-9a0e-0d3a8f1c2b4d'::uuid AS id FROM long_sequence(1)"
    )
    row = json.loads(run("query", "questdb", sql, "-o", "jsonl").stdout)
    assert row == {
        "t": "2013-01-01T10:15:00.250000Z",
        "l": 9223372036854775807,
        "n": None,
        "b": True,
        "d": 1.5,
        "s": "x",
        "id": "5f0c7cfa-9c0a-4b3e-9a0e-0d3a8f1c2b4d",
    }


def test_a_named_query_knows_its_engine_and_its_chart(run: Run) -> None:
    assert run("query", "--name", "squares", "-o", "csv").stdout.splitlines()[-1] == "n3,9"
    drawn = run("query", "--name", "squares", "--chart")
    assert drawn.stdout.startswith("square by name\nn0 ")
    assert drawn.stdout.splitlines()[-1].endswith("█ 9")


def test_a_chart_as_it_is_asked_for(run: Run) -> None:
    done = run("query", "clickhouse", ROWS, "--chart-spec", "bar x=name y=n")
    assert done.stdout.startswith("n by name\nrow 0 ")
    assert done.stderr.startswith("3 rows in ")


def test_sql_from_a_file_and_from_stdin(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.sql"
    file.write_text(f"-- three rows\n{ROWS};\n")
    expected = "n,name\n0,row 0\n1,row 1\n2,row 2\n"
    assert run("query", "clickhouse", "--file", str(file), "-o", "csv").stdout == expected
    assert run("query", "clickhouse", "--file", "-", "-o", "csv", stdin=file.read_text()).stdout == expected
    assert run("query", "--file", "queries/squares.sql", "-o", "csv").stdout.startswith("name,square\n")


@pytest.mark.parametrize(
    ("arguments", "place", "line"),
    [
        (("--name", "broken"), "queries/broken.sql:3:", "  2 FROM numbers(3) WHERE ("),
        (("--file", "queries/wrong.sql"), "queries/wrong.sql:4:7:", "WHERE nothing = 1"),
        (("questdb", "SELECT x FROM long_sequence(1) WHERE nothing = 1"), "nothing", "SELECT x FROM"),
    ],
)
def test_a_mistake_in_sql_has_its_place_and_shows_the_line(
    run: Run, arguments: tuple[str, ...], place: str, line: str
) -> None:
    done = run("query", *arguments)
    assert done.returncode == 1
    assert place in done.stderr
    assert line in done.stderr
    assert done.stdout == ""


def test_a_mistake_in_json_mode_is_json(run: Run) -> None:
    done = run("query", "--name", "broken", "-o", "json")
    assert done.stdout == ""
    assert json.loads(done.stderr)["error"]["code"] == "statement_rejected"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give one of SQL, --file and --name"),
        (("clickhouse",), "give one of SQL, --file and --name"),
        (("clickhouse", "select 1", "--name", "squares"), "give one of SQL, --file and --name"),
        (("clickhuose", "select 1"), "did you mean 'clickhouse'?"),
        (("nats", "select 1"), "'nats' cannot do that"),
        (("--name", "square"), "did you mean 'squares'?"),
        (("questdb", "--name", "squares"), "is for clickhouse, not for questdb"),
        (("clickhouse", "--file", "nowhere.sql"), "nowhere.sql cannot be read: No such file or directory"),
        (("clickhouse", "select 1", "--watch", "often"), "is not a duration"),
        (("clickhouse", "select 1", "--chart", "-o", "csv"), "a chart is drawn in the terminal"),
        (("clickhouse", "select 'a' as a", "--chart"), "no column of numbers to draw"),
        (("clickhouse", "select 1", "--watch", "1s", "-o", "parquet"), "cannot be written again and again"),
    ],
)
def test_what_does_not_fit_is_a_usage_error(run_inside: RunInside, arguments: tuple[str, ...], message: str) -> None:
    done = run_inside("query", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_watch_runs_it_again_until_the_reader_leaves(project: Path) -> None:
    arguments = ("query", "clickhouse", "select 1 as a", "--watch", "100ms", "-o", "jsonl")
    with started(*arguments, cwd=project) as process:
        assert process.stdout
        assert process.stderr
        assert [process.stdout.readline() for _ in range(3)] == [b'{"a":1}\n'] * 3
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("format", ["csv", "jsonl", "json", "markdown", "table"])
def test_a_closed_pipe_ends_a_large_result_quietly(project: Path, format: str) -> None:
    sql = "SELECT number AS n, toString(number) AS s FROM numbers(20000000)"
    with started("query", "clickhouse", sql, "-o", format, cwd=project) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_a_large_result_takes_little_memory(project: Path) -> None:
    sql = "SELECT number AS n, toString(number) AS s, number / 3 AS f FROM numbers(2000000)"
    with started("query", "clickhouse", sql, "-o", "csv", cwd=project) as process:
        assert process.stdout
        # Sampled, because the kernel's own peak counts the memory of the process that forked it.
        memory = psutil.Process(process.pid)
        count = peak = 0
        while chunk := process.stdout.read(2**20):
            count += chunk.count(b"\n")
            peak = max(peak, memory.memory_info().rss)
        assert process.wait(30) == 0
    assert count == 2_000_001
    assert 10_000_000 < peak < 250_000_000
