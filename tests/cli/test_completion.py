"""What the shell completes, by the protocol of the shells' scripts: a process with the words in its environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import clean_environment, write_files

Complete = Callable[..., list[str]]

FILES = {
    "thedata.yaml": "name: small\ncomponents: {nats: {}, materialize: {}, questdb: {}, worker: {}}\n",
    "environments/staging.yaml": "components: {clickhouse: {}}\n",
    "streams/departures.yaml": "name: departures\nsubjects: [flights.>]\n",
    "streams/below/other.yaml": "name: weather\nsubjects: [weather.>]\n",
    "views/a.sql": "-- A source\nCREATE SOURCE raw FROM WEBHOOK BODY FORMAT JSON;\n",
    "views/b.sql": "/* CREATE VIEW no */ create or replace materialized view Public.Delays as select 1;\n",
    "views/c.sql": 'CREATE VIEW IF NOT EXISTS "Two ""Words" AS SELECT 1;\n',
    "views/d.sql": "CREATE INDEX delays_by_hour ON delays (hour);\n",
    "views/e.sql": "CREATE CLUSTER small (SIZE = '25cc');\n",
    "queries/delays.sql": "-- engine: questdb\nselect 1\n",
    "queries/routes.sql": "-- engine: questdb\nselect 1\n",
    "pipelines/departures.yaml": "name: departures\nstream: departures\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("completion") / "small", FILES)


def ask(cwd: Path, **environment: str) -> str:
    """Run the program as a shell's script does; whatever the line is, it must end well and say nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "thedata_cli"],
        cwd=cwd, capture_output=True, text=True, check=False, timeout=60, env={**clean_environment(), **environment},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def bash(line: str, *, cwd: Path, **environment: str) -> list[str]:
    """Return what bash offers at the end of a line."""
    words = line.split(" ")
    words = [word for word in words[:-1] if word] + words[-1:]
    return ask(
        cwd,
        _THEDATA_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(words),
        COMP_CWORD=str(len(words) - 1),
        **environment,
    ).split()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("thedata stream tail ", ["dead-letters", "departures", "weather"]),
        ("thedata stream info de", ["dead-letters", "departures"]),
        ("thedata stream pub w", ["weather"]),
        ("thedata stream tail --view ", ["Two", '"Words', "delays", "raw"]),
        ("thedata stream tail --view d", ["delays"]),
        ("thedata stream tail --view=d", ["delays"]),
        ("thedata query --name ", ["delays", "routes"]),
        ("thedata query -n r", ["routes"]),
        ("thedata query ", ["materialize", "questdb"]),
        ("thedata query --environment staging ", ["clickhouse", "materialize", "questdb"]),
        ("thedata restart ", ["materialize", "nats", "questdb", "worker"]),
        ("thedata logs --follow q", ["questdb"]),
        ("thedata up --environment ", ["dev", "staging"]),
        ("thedata plan -e s", ["staging"]),
        ("thedata init my-platform --blueprint fl", ["flights"]),
        ("thedata demo -b fl", ["flights"]),
        ("thedata blueprint show fl", ["flights"]),
        ("thedata stream ta", ["tail"]),
        ("thedata query --form", ["--format"]),
    ],
)
def test_names_are_completed(project: Path, line: str, names: list[str]) -> None:
    assert bash(line, cwd=project) == names


def test_the_project_is_the_one_of_the_line_or_of_a_directory_above(project: Path, tmp_path: Path) -> None:
    assert bash(f"thedata stream tail --project {project} --view d", cwd=tmp_path) == ["delays"]
    assert bash("thedata stream tail --view d", cwd=project / "streams" / "below") == ["delays"]
    home = {"HOME": str(project.parent)}
    assert bash("thedata stream tail -C ~/small --view d", cwd=tmp_path, **home) == ["delays"]


def test_zsh_gets_the_same_names(project: Path) -> None:
    asked = {"_THEDATA_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "thedata stream tail --view d"}
    assert ask(project, **asked).strip() == """_arguments '*: :(("delays"))'"""
    asked["_TYPER_COMPLETE_ARGS"] = "thedata restart "
    assert ask(project, **asked).split("((")[1] == '"materialize"\n"nats"\n"questdb"\n"worker"))\'\n'


@pytest.mark.parametrize(
    "line",
    [
        "thedata stream tail --view ",
        "thedata query ",
        "thedata restart ",
        "thedata stream tail --project /nowhere ",
        "thedata query --name ",
    ],
)
def test_where_there_is_no_project_there_are_no_names(tmp_path: Path, line: str) -> None:
    assert bash(line, cwd=tmp_path) == []


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with mistakes in every file."""
    project = write_files(
        tmp_path_factory.mktemp("completion") / "broken",
        {
            "thedata.yaml": "name: broken\ncomponents:\n  nats: {no: such}\n  questbd: {}\n  questdb:\n",
            "streams/good.yaml": "name: good\nsubjects: [good.>]\nnope: 1\n",
            "streams/half.yaml": "name: half\nsubjects: [\n",
            "streams/list.yaml": "- 1\n",
            "views/good.sql": "CREATE VIEW good AS SELEC 'T",
            "views/half.sql": "CREATE VIEW",
            "queries/good.sql": "",
        },
    )
    (project / "streams" / "bytes.yaml").write_bytes(b"\xff\x00")
    (project / "views" / "bytes.sql").write_bytes(b"\xff\x00")
    return project


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("thedata stream tail ", ["bytes", "good", "half", "list"]),
        ("thedata stream tail --view ", ["good"]),
        ("thedata query --name ", ["good"]),
        ("thedata query ", ["questdb"]),
        ("thedata logs ", ["nats", "questbd", "questdb"]),
    ],
)
def test_of_a_project_with_mistakes_what_can_be_read_is_completed(broken: Path, line: str, names: list[str]) -> None:
    assert bash(line, cwd=broken) == names


@pytest.mark.parametrize(
    "line",
    [
        "thedata nope ",
        "thedata --version stream ta",
        "thedata stream tail --last nothing --view d",
        "thedata stream tail 'unbalanced --view d",
        "thedata stream tail a b c d",
    ],
)
def test_a_line_that_makes_no_sense_is_no_error(project: Path, line: str) -> None:
    assert "thedata" not in bash(line, cwd=project)


def test_what_the_user_has_set_is_not_in_the_way(project: Path) -> None:
    assert bash("thedata logs q", cwd=project, THEDATA_OUTPUT="json") == ["questdb"]
    assert bash("thedata logs q", cwd=project, THEDATA_OUTPUT="nonsense") == ["questdb"]
    assert "clickhouse" in bash("thedata query ", cwd=project, THEDATA_ENVIRONMENT="staging")


@pytest.mark.parametrize("line", ["thedata stream tail --view ", "thedata query --name ", "thedata restart "])
def test_completing_loads_no_more_than_it_reads(project: Path, line: str) -> None:
    program = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(sorted(name for name in sys.modules if name.startswith('thedata_cli')"
        " or name in ('rich', 'asyncio', 'jinja2'))))\n"
        "from thedata_cli.__main__ import main; main()\n"
    )
    words = line.split(" ")
    asked = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1), "_THEDATA_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=project, capture_output=True, text=True, check=True, timeout=60, env={**os.environ, **asked},
    )  # fmt: skip
    loaded = done.stdout.splitlines()[-1]
    assert "thedata_cli.project.files" in loaded
    for heavy in ("rich", "asyncio", "jinja2", "thedata_cli.project.model", "thedata_cli.component_api"):
        assert f"'{heavy}'" not in loaded


def test_bash_completes_once_it_is_installed(project: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "thedata"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m thedata_cli "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{program.parent}:{os.environ['PATH']}"}
    script = (
        "thedata --install-completion bash; . ~/.bashrc;"
        " COMP_WORDS=(thedata stream tail --view d); COMP_CWORD=4;"
        " $(complete -p thedata | sed 's/.*-F //; s/ .*//') thedata; echo \"offers ${COMPREPLY[*]}\""
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=project, capture_output=True, text=True, check=True, timeout=120, env=environment,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "offers delays"
    assert done.stderr == ""
