"""What a user gets when something is wrong before any server is asked: one message, the way out, the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A project with two mistakes in two files."""
    project = tmp_path / "broken"
    (project / "streams").mkdir(parents=True)
    (project / "thedata.yaml").write_text("name: broken\ncomponents:\n  nats: {}\n  questbd: {}\n")
    (project / "streams" / "a.yaml").write_text("name: a\nsubjects: [a.>]\nretention: sometimes\n")
    return project


def test_the_version_goes_to_stdout(run: Run) -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("thedata 0.")


def test_without_a_command_there_is_help(run: Run) -> None:
    done = run()
    assert (done.stdout + done.stderr).startswith("Usage: thedata")


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    done = run("upp")
    assert done.returncode == 2
    assert "upp" in done.stderr


@pytest.mark.parametrize("command", [["check"], ["up"], ["plan"], ["status"], ["down"], ["stream", "ls"]])
def test_outside_a_project_every_command_says_how_to_make_one(run: Run, command: list[str]) -> None:
    done = run(*command)
    assert (done.returncode, done.stdout) == (2, "")
    assert "thedata init" in done.stderr


def test_all_mistakes_are_listed_with_file_line_and_column(run: Run, broken: Path) -> None:
    done = run("check", cwd=broken)
    assert (done.returncode, done.stdout) == (3, "")
    assert "thedata.yaml:4:3: components.questbd" in done.stderr
    assert "did you mean" in done.stderr
    assert "streams/a.yaml:3:12: retention" in done.stderr


def test_errors_are_json_when_the_output_is(run: Run, broken: Path) -> None:
    done = run("check", "--output", "json", cwd=broken)
    assert (done.returncode, done.stdout) == (3, "")
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "invalid_project"
    assert {(problem["file"], problem["line"], problem["column"]) for problem in error["problems"]} == {
        ("thedata.yaml", 4, 3),
        ("streams/a.yaml", 3, 12),
    }


def test_a_project_is_found_from_below_it(run: Run, broken: Path) -> None:
    assert run("check", cwd=broken / "streams").returncode == 3


def test_init_refuses_a_directory_with_something_in_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("mine")
    done = run("init", "full", "--yes")
    assert done.returncode == 7
    assert "precious.txt" in done.stderr
    assert (tmp_path / "full" / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize("arguments", [["--set", "database"], ["--set", "database=no spaces!"], ["--set", "datbase=a"]])
def test_init_refuses_answers_that_are_none(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    done = run("init", "new", "--yes", *arguments)
    assert done.returncode == 2
    assert "hint:" in done.stderr
    assert not (tmp_path / "new").exists()


def test_init_makes_a_project_that_is_valid_and_keeps_its_secrets_to_itself(run: Run, tmp_path: Path) -> None:
    made = run("init", "new", "--yes", "--output", "json")
    assert made.returncode == 0, made.stderr
    assert "thedata.yaml" in json.loads(made.stdout)["files"]
    assert run("check", cwd=tmp_path / "new").returncode == 0
    for secret in (tmp_path / "new" / "secrets").iterdir():
        assert secret.stat().st_mode & 0o077 == 0
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path / "new", check=True)
    tracked = subprocess.run(
        ["git", "status", "--porcelain", "-uall"], cwd=tmp_path / "new", check=True, capture_output=True, text=True
    )
    assert "thedata.yaml" in tracked.stdout
    assert "secrets/nats" not in tracked.stdout
    assert ".thedata/" not in tracked.stdout


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    program = f"{sys.executable} -m thedata_cli schema | head -c 10; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n0\n") or done.stdout.endswith("0\n")
    assert done.stderr == ""


def test_ctrl_c_ends_with_130_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "thedata.yaml").write_text("name: a\ncomponents: {}\n")
    program = (
        "import os, signal, sys\n"
        "from thedata_cli.cli import commands\n"
        "from thedata_cli.project import load\n"
        "def interrupted(*_): os.kill(os.getpid(), signal.SIGINT)\n"
        "load.load_project = interrupted\n"
        "sys.argv = ['thedata', 'check']\n"
        "commands.app()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in done.stderr
    assert "can be run again" in done.stderr


def test_debug_shows_the_traceback(run: Run, broken: Path) -> None:
    done = run("check", "--debug", cwd=broken)
    assert "Traceback" in done.stderr
    assert "InvalidProjectError" in done.stderr


@pytest.mark.parametrize("arguments", [["upp", "-o", "json"], ["up", "--nope", "--output=json"], ["up", "--nope"]])
def test_a_command_line_that_cannot_be_read_is_told_as_json_too(run: Run, arguments: list[str]) -> None:
    done = run(*arguments, environment={"THEDATA_OUTPUT": "json"})
    assert (done.returncode, done.stdout) == (2, "")
    assert json.loads(done.stderr)["error"]["code"] == "usage"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_interrupted_while_it_loads_says_so(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "thedata_cli", "schema"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if "typer" in line:
                process.send_signal(number)
                break
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
