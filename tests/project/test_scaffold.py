"""Blueprints become projects: whole or not at all, and never outside the new directory."""

# ruff: noqa: E501 (a case is one line: what is written, and what is said)

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.project.conftest import Files, write
from thedata_cli.errors import InvalidProjectError, RefusedError, TheDataError, UsageError
from thedata_cli.project.blueprints import Blueprint, find_blueprint, list_blueprints
from thedata_cli.project.load import load_project
from thedata_cli.project.scaffold import scaffold

MANIFEST = """\
    name: small
    version: 1.2.0
    description: One stream
    questions:
      - {name: subject, prompt: Which subject?, default: events, pattern: "[a-z]+"}
      - {name: replicas, type: integer, prompt: How many copies?, default: 1, choices: [1, 3]}
      - {name: compress, type: boolean, prompt: Compress?, default: false}
    """

BLUEPRINT: Files = {
    "blueprint.yaml": MANIFEST,
    "thedata.yaml.jinja": """\
        # yaml-language-server: $schema=.thedata/schemas/thedata.json
        name: {{ name }}
        components:
          nats: {}
        """,
    "streams/{{ subject }}.yaml.jinja": """\
        name: {{ subject }}
        subjects: ["{{ subject }}.>"]
        replicas: {{ replicas }}
        {% if compress %}
        compression: s2
        {% endif %}
        """,
    "feeds/raw.py": "print('{{ not rendered }}')\n",
    "README.md.jinja": "# {{ name }}, by {{ blueprint.name }} {{ blueprint.version }}\n",
}


@pytest.fixture
def blueprint(tmp_path: Path) -> Callable[..., Blueprint]:
    def make(files: Files | None = None) -> Blueprint:
        write(tmp_path / "blueprint", {**BLUEPRINT, **(files or {})})
        return find_blueprint(str(tmp_path / "blueprint"))

    return make


Make = Callable[..., Blueprint]


def lay_down(blueprint: Blueprint, target: Path, **given: str) -> Any:
    return scaffold(blueprint, target, name="demo", answers=blueprint.answers(given))


def names(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def test_a_project_comes_out(tmp_path: Path, blueprint: Make) -> None:
    (made_of := blueprint()).directory.joinpath("feeds/raw.py").chmod(0o755)
    target = tmp_path / "new" / "demo"
    made = lay_down(made_of, target, subject="orders", replicas="3", compress="yes")
    assert [path.as_posix() for path in made] == names(target)
    assert [name for name in names(target) if not name.startswith(".thedata/")] == [
        ".gitignore",
        "README.md",
        "feeds/raw.py",
        "secrets/nats_password",
        "streams/orders.yaml",
        "thedata.yaml",
    ]
    assert (target / "README.md").read_text() == "# demo, by small 1.2.0\n"
    assert (target / "feeds/raw.py").read_text() == "print('{{ not rendered }}')\n"
    assert (target / "feeds/raw.py").stat().st_mode & stat.S_IXUSR
    assert {".thedata/", "secrets/"} <= set((target / ".gitignore").read_text().splitlines())
    assert (target / ".thedata/schemas/thedata.json").is_file()
    project = load_project(target)
    stream = project.declared["nats"][0].model
    assert (project.name, stream.name, stream.replicas, stream.compression) == ("demo", "orders", 3, "s2")
    assert list(tmp_path.glob("**/.*thedata-init*")) == []


def test_two_projects_have_different_secrets(tmp_path: Path, blueprint: Make) -> None:
    for name in ("a", "b"):
        lay_down(blueprint(), tmp_path / name)
    first, second = ((tmp_path / name / "secrets/nats_password").read_text() for name in ("a", "b"))
    assert first != second


def test_a_gitignore_of_the_blueprint_is_kept_and_completed(tmp_path: Path, blueprint: Make) -> None:
    lay_down(blueprint({".gitignore": "*.log\n"}), tmp_path / "demo")
    lines = (tmp_path / "demo/.gitignore").read_text().splitlines()
    assert {"*.log", ".thedata/", "secrets/"} <= set(lines)


def test_templates_may_include_files_of_their_blueprint(tmp_path: Path, blueprint: Make) -> None:
    files = {"part.txt": "for {{ name }}", "notes.txt.jinja": "{% include 'part.txt' %}!"}
    lay_down(blueprint(files), tmp_path / "demo")
    assert (tmp_path / "demo/notes.txt").read_text() == "for demo!"


def test_a_mistake_in_an_included_file_is_named_there(tmp_path: Path, blueprint: Make) -> None:
    files = {"part.txt": "one\n{{ unknown }}", "notes.txt.jinja": "{% include 'part.txt' %}!"}
    with pytest.raises(InvalidProjectError, match="the blueprint") as caught:
        lay_down(blueprint(files), tmp_path / "demo")
    assert caught.value.detail == "part.txt:2:1: cannot be rendered: 'unknown' is undefined"


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"subjet": "x"}, "blueprint 'small' does not ask for 'subjet'", "did you mean 'subject'?"),
        ({"subject": "A"}, "subject: 'A' is not allowed", "it must match [a-z]+"),
        ({"replicas": "x"}, "replicas: 'x' is no whole number", "How many copies?"),
        ({"replicas": "2"}, "replicas: 2 is no choice", "write 1 or 3"),
        ({"compress": "maybe"}, "compress: 'maybe' is neither yes nor no", "Compress?"),
    ],
)
def test_an_answer_that_is_not_allowed(blueprint: Make, given: Mapping[str, str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        blueprint().answers(given)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_name_that_is_not_allowed(tmp_path: Path, blueprint: Make) -> None:
    with pytest.raises(UsageError, match="'my demo' cannot be the name of a project"):
        scaffold(blueprint(), tmp_path / "x", name="my demo", answers={})
    assert not (tmp_path / "x").exists()


# What is there already


def test_a_directory_that_is_not_empty_is_refused(tmp_path: Path, blueprint: Make) -> None:
    write(tmp_path / "demo", {"notes.txt": "mine", "b/c.txt": "mine"})
    with pytest.raises(RefusedError, match=r"demo is not empty: it has b, notes.txt"):
        lay_down(blueprint(), tmp_path / "demo")
    assert names(tmp_path / "demo") == ["b/c.txt", "notes.txt"]


def test_a_file_is_refused(tmp_path: Path, blueprint: Make) -> None:
    (tmp_path / "demo").write_text("mine")
    with pytest.raises(RefusedError, match="demo is a file"):
        lay_down(blueprint(), tmp_path / "demo")


def test_an_empty_directory_is_taken(tmp_path: Path, blueprint: Make) -> None:
    (tmp_path / "demo").mkdir()
    lay_down(blueprint(), tmp_path / "demo")
    assert load_project(tmp_path / "demo").name == "demo"


def test_the_working_directory_keeps_its_identity(
    tmp_path: Path, blueprint: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_of = blueprint()
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    before = here.stat().st_ino
    lay_down(made_of, Path())
    assert here.stat().st_ino == before
    assert load_project(Path()).name == "demo"
    assert [entry.name for entry in here.iterdir() if "thedata-init" in entry.name] == []


def test_a_place_that_cannot_be_written(tmp_path: Path, blueprint: Make) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TheDataError) as caught:
        lay_down(blueprint(), tmp_path / "file" / "demo")
    assert str(tmp_path / "file" / "demo") in caught.value.message
    assert caught.value.hint


def test_a_killed_init_leaves_nothing_that_matters(tmp_path: Path, blueprint: Make) -> None:
    made_of = blueprint()
    # The process dies at the last moment before the project is moved into place.
    program = dedent(
        """\
        import os, signal, sys
        from pathlib import Path
        from thedata_cli.project.blueprints import find_blueprint
        from thedata_cli.project import scaffold
        def killed(*arguments, **options): os.kill(os.getpid(), signal.SIGKILL)
        scaffold._move = killed
        found = find_blueprint(sys.argv[1])
        scaffold.scaffold(found, Path(sys.argv[2]), name="demo", answers=found.answers({}))
        """
    )
    target = tmp_path / "demo"
    done = subprocess.run([sys.executable, "-c", program, made_of.directory, target], check=False)
    assert done.returncode == -9
    assert not target.exists()
    assert len(list(tmp_path.glob(".demo.thedata-init-*"))) == 1
    lay_down(made_of, target)
    assert load_project(target).name == "demo"
    assert list(tmp_path.glob(".demo.thedata-init-*")) == []


def test_an_interrupted_init_cleans_up(tmp_path: Path, blueprint: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made_of = blueprint()

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("thedata_cli.project.scaffold.write_schemas", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lay_down(made_of, tmp_path / "demo")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["blueprint"]


# Blueprints of strangers


SECRET = "the content of a file outside"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside.txt").write_text(SECRET)
    return tmp_path / "outside.txt"


@pytest.mark.parametrize(
    "template",
    [
        "{% include '../outside.txt' %}",
        "{% include '/etc/passwd' %}",
        "{% import '../outside.txt' as x %}{{ x }}",
        "{% extends '../../outside.txt' %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ lipsum.__globals__['os'].listdir('/') }}",
        "{{ '{0.__class__.__init__.__globals__}'.format(range) }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ (answers or {}).x }}",
        "{% set x = [] %}{{ x.append(1) }}",
        "{{ open('/etc/passwd').read() }}",
        "{{ 1 / 0 }}",
        "{{ unknown }}",
        "{% for %}",
        "{% include 'evil.txt.jinja' %}",
        "{{ range(1000000000) }}",
    ],
)
def test_an_evil_template_is_refused(tmp_path: Path, blueprint: Make, outside: Path, template: str) -> None:
    with pytest.raises(InvalidProjectError) as caught:
        lay_down(blueprint({"evil.txt.jinja": template}), tmp_path / "demo")
    assert "evil.txt.jinja" in caught.value.detail
    assert "cannot be rendered" in caught.value.detail
    assert SECRET not in caught.value.detail
    assert not (tmp_path / "demo").exists()


def test_a_broken_template_is_named_with_its_line(tmp_path: Path, blueprint: Make) -> None:
    files = {"a.txt.jinja": "one\n\n{{ unknown }}\n", "b.txt.jinja": "one\n{% for x in %}\n"}
    with pytest.raises(InvalidProjectError) as caught:
        lay_down(blueprint(files), tmp_path / "demo")
    lines = caught.value.detail.splitlines()
    assert lines[0] == "a.txt.jinja:3:1: cannot be rendered: 'unknown' is undefined"
    assert lines[1].startswith("b.txt.jinja:2:1: cannot be rendered: ")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("{{ '..' }}/x.txt", "becomes '../x.txt': a name must not be empty, `.` or `..`"),
        ("{{ '..' }}.jinja", "becomes '..': a name must not be empty, `.` or `..`"),
        ("{{ '%c' % 47 }}etc", "becomes '/etc': a name must not have slashes or control characters"),
        ("{{ 'a%cb' % 92 }}", "becomes 'a\\\\b': a name must not have slashes or control characters"),
        ("{{ 'a%cb' % 10 }}", "becomes 'a\\nb': a name must not have slashes or control characters"),
        ("{{ 'a%cb' % 0 }}", "becomes 'a\\x00b': a name must not have slashes or control characters"),
        ("{{ '' }}/x.txt", "becomes '/x.txt': a name must not be empty, `.` or `..`"),
        ("{{ '.GIT' }}/hooks/post-checkout", "becomes '.GIT/hooks/post-checkout': git would run what is in it"),
        ("{{ 'x' * 300 }}", f"becomes '{'x' * 300}': the name is too long"),
        ("secrets/nats_password", "becomes 'secrets/nats_password': secrets/ is made by thedata itself"),
        (".thedata/state.json", "becomes '.thedata/state.json': .thedata/ is made by thedata itself"),
        ("{{ unknown }}.txt", "cannot be rendered: 'unknown' is undefined"),
    ],
)
def test_an_evil_name_is_refused(tmp_path: Path, blueprint: Make, name: str, complaint: str) -> None:
    before = sorted(tmp_path.parent.iterdir())
    with pytest.raises(InvalidProjectError) as caught:
        lay_down(blueprint({name: "x"}), tmp_path / "demo")
    assert caught.value.detail == f"{name}: {complaint}"
    assert not (tmp_path / "demo").exists()
    assert sorted(tmp_path.parent.iterdir()) == before


def test_links_and_special_files_are_refused(tmp_path: Path, blueprint: Make, outside: Path) -> None:
    made_of = blueprint()
    (made_of.directory / "file").symlink_to(outside)
    (made_of.directory / "directory").symlink_to(tmp_path)
    os.mkfifo(made_of.directory / "pipe")
    with pytest.raises(InvalidProjectError) as caught:
        lay_down(made_of, tmp_path / "demo")
    assert caught.value.detail.splitlines() == [
        "directory: is a symbolic link; a blueprint holds plain files only",
        "file: is a symbolic link; a blueprint holds plain files only",
        "pipe: is no regular file; a blueprint holds plain files only",
    ]


def test_two_files_of_one_name_are_refused(tmp_path: Path, blueprint: Make) -> None:
    with pytest.raises(InvalidProjectError, match="the blueprint") as caught:
        lay_down(blueprint({"a.txt": "x", "a.txt.jinja": "y", "b/c": "x", "{{ 'b' }}": "y"}), tmp_path / "demo")
    assert caught.value.detail.splitlines() == [
        "a.txt.jinja: two files of the blueprint become a.txt",
        "b/c: the name of a file is also that of a directory",
    ]


def test_a_blueprint_that_makes_no_valid_project(tmp_path: Path, blueprint: Make) -> None:
    with pytest.raises(InvalidProjectError) as caught:
        lay_down(blueprint({"streams/x.yaml": "nam: x\n"}), tmp_path / "demo")
    assert caught.value.message == "the project that blueprint 'small' makes has 3 mistakes"
    assert "streams/x.yaml:1:1: nam: unknown key; did you mean 'name'?" in caught.value.detail
    assert not (tmp_path / "demo").exists()


def test_a_blueprint_that_shows_an_unknown_query(tmp_path: Path, blueprint: Make) -> None:
    made_of = blueprint({"blueprint.yaml": f"{dedent(MANIFEST)}shows: [late]\n"})
    with pytest.raises(InvalidProjectError) as caught:
        lay_down(made_of, tmp_path / "demo")
    assert caught.value.detail == "blueprint.yaml: shows: unknown query 'late'; there is none yet"


def test_a_blueprint_without_a_project_file(tmp_path: Path) -> None:
    write(tmp_path / "b", {"blueprint.yaml": MANIFEST, "README.md": "x"})
    with pytest.raises(InvalidProjectError) as caught:
        lay_down(find_blueprint(str(tmp_path / "b")), tmp_path / "demo")
    assert caught.value.detail == "thedata.yaml: is missing; add it to the blueprint"


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        ("name: x\n", "blueprint.yaml:1:1: description: is missing"),
        ("name: x\nversion: 1\ndescription: y\n", "blueprint.yaml:2:10: version: the number 1 is not allowed here; for text, put it in quotes: '1'"),
        ("name: x\nversion: 1.0.0\ndescription: y\nquestions: [{name: name, prompt: a, default: b}]\n", "blueprint.yaml:4:13: questions.0: 'name' is set for every template; choose another name"),
        ("name: x\nversion: 1.0.0\ndescription: y\nquestions: [{name: a, prompt: a, default: b, choices: [c]}]\n", "blueprint.yaml:4:13: questions.0: 'b' is no choice; write c"),
        ("name: x\nversion: 1.0.0\ndescription: y\nquestions: [{name: a, prompt: a, type: integer, default: b}]\n", "blueprint.yaml:4:13: questions.0: 'b' is no integer"),
        ("name: x\nversion: 1.0.0\ndescription: y\nquestions: [{name: a, prompt: a, default: b}, {name: a, prompt: a, default: b}]\n", "blueprint.yaml:1:1: the question 'a' is asked twice"),
    ],
)  # fmt: skip
def test_a_manifest_with_a_mistake(tmp_path: Path, manifest: str, complaint: str) -> None:
    write(tmp_path / "b", {"blueprint.yaml": manifest})
    with pytest.raises(InvalidProjectError) as caught:
        find_blueprint(str(tmp_path / "b"))
    assert caught.value.detail.splitlines()[0] == complaint
    assert caught.value.message.startswith(f"the blueprint in {tmp_path / 'b'} has ")


def test_an_unknown_blueprint() -> None:
    with pytest.raises(UsageError, match="unknown blueprint 'flihgts'") as caught:
        find_blueprint("flihgts")
    assert caught.value.hint == "did you mean 'flights'? A path such as ./flihgts works too"


def test_a_path_without_a_blueprint(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no blueprint: it has no blueprint.yaml"):
        find_blueprint(str(tmp_path))


@pytest.mark.parametrize("shipped", list_blueprints(), ids=lambda blueprint: blueprint.name)
def test_a_shipped_blueprint_makes_a_valid_project(tmp_path: Path, shipped: Blueprint) -> None:
    scaffold(shipped, tmp_path / "demo", name="demo", answers=shipped.answers({}))
    project = load_project(tmp_path / "demo")
    assert project.name == "demo"
    assert shipped.directory.name == shipped.name
    for file in (tmp_path / "demo").rglob("*.yaml"):
        first = file.read_text().partition("\n")[0]
        assert first.startswith("# yaml-language-server: $schema="), file
        assert (file.parent / first.partition("=")[2]).is_file(), file
