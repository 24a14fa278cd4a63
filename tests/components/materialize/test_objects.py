"""Files of `views/` without a server: what is read from a statement, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.components.materialize.stack import project

from thedata_cli.components.materialize.component import MaterializeComponent
from thedata_cli.components.materialize.kinds import cluster_options
from thedata_cli.components.materialize.objects import MaterializeObject, definition_digest
from thedata_cli.errors import InvalidProjectError
from thedata_cli.plan.resources import ResourceId
from thedata_cli.project.load import load_project


def mistakes(directory: Path, **files: str) -> list[str]:
    with pytest.raises(InvalidProjectError) as raised:
        project(directory, files)
    return raised.value.detail.splitlines()


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "1:1: the file has no statement"),
        ("-- nothing\n ; ", "1:1: the file has no statement"),
        ("CREATE VIEW a AS SELECT 1;\n\n  CREATE VIEW b AS SELECT 2", "3:3: a second statement"),
        ("-- one\nSELECT 1", "2:1: SELECT declares nothing"),
        ("CREATE SINK s FROM v", "1:8: CREATE SINK cannot be declared"),
        ("CREATE", "1:1: the statement ends early"),
        ("CREATE VIEW", "1:8: a name is missing here"),
        ("CREATE SECRET k AS 'x'", "1:20: a secret's value does not belong in a file of the project; write CREATE SEC"),
        ("CREATE SECRET k AS decode('eA==', 'base64')", "1:20: a secret's value does not belong in a file"),
        ("CREATE SECRET k AS : 'k'", "1:20: a secret's value does not belong in a file of the project"),
        ("CREATE SECRET k AS :'../k'", "1:21: '../k' is no name of a secret; letters, digits and _"),
        ("CREATE SECRET k", "1:15: the secret has no value; write CREATE SECRET k AS :'k'; the value is in secrets/k"),
        ("CREATE DEFAULT INDEX ON v", "1:8: the index has no name"),
        ("CREATE INDEX ON v (a)", "1:14: the index has no name"),
        ("CREATE INDEX IN CLUSTER c ON v (a)", "1:14: the index has no name"),
        ("CREATE VIEW other.v AS SELECT 1", "1:13: other.v is in another schema"),
        ("CREATE VIEW 'v' AS SELECT 1", "1:13: a name is missing here"),
        ('CREATE VIEW "a b" AS SELECT 1', "1:13: 'a b' is no name here"),
        ("CREATE SOURCE s FROM KAFKA CONNECTION k (TOPIC 't')", "1:22: sources from KAFKA cannot be declared"),
        ("CREATE SOURCE s", "1:15: the source says not where it reads from"),
        ("CREATE VIEW v AS SELECT 'a", "1:25: the string does not end"),
        ('CREATE VIEW v AS SELECT "a', "1:25: the quoted name does not end"),
        ("CREATE VIEW v AS /* SELECT", "1:18: the comment does not end"),
        ("CREATE VIEW v AS SELECT $$a", "1:25: the string does not end"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, mistake: str) -> None:
    (line,) = mistakes(tmp_path, v=text)
    assert line.startswith(f"views/v.sql:{mistake}")


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, a="CREATE VIEW v AS SELECT 1 AS a", b="CREATE TABLE\n  v (a int)")
    assert line.startswith("views/b.sql:2:3: name: 'v' is declared twice; first in views/a.sql:1:13")


def test_a_cluster_has_a_name_of_its_own(tmp_path: Path) -> None:
    view = project(
        tmp_path, {"a": "CREATE CLUSTER v (SIZE = '25cc')", "b": "CREATE MATERIALIZED VIEW v IN CLUSTER v AS SELECT 1"}
    )
    _, resource = MaterializeComponent().resources(view)
    assert resource.depends_on == (ResourceId("materialize", "cluster", "v"),)


def test_objects_that_read_each_other_are_a_mistake(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, a="CREATE VIEW a AS SELECT * FROM b", b="CREATE VIEW b AS SELECT *\nFROM a")
    assert "objects read each other in a circle: " in line
    assert line.startswith(("views/a.sql:1:32: ", "views/b.sql:2:6: "))


def test_files_that_look_like_views_are_not_ignored(tmp_path: Path) -> None:
    project(tmp_path, {"v": "CREATE VIEW v AS SELECT 1"})
    (tmp_path / "thedata.yaml").write_text("name: flights\ncomponents:\n  nats: {}\n")
    with pytest.raises(InvalidProjectError) as raised:
        load_project(tmp_path)
    assert raised.value.detail == "views: the files of views/ are not read; add `materialize: {}` under `components:`"
    (tmp_path / "thedata.yaml").write_text("name: flights\ncomponents:\n  materialize: {}\n")
    (tmp_path / "views" / "w.SQL").write_text("CREATE VIEW w AS SELECT 1")
    with pytest.raises(InvalidProjectError) as raised:
        load_project(tmp_path)
    assert raised.value.detail == "views/w.SQL: files that end in .SQL are not read here; rename it to w.sql"


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("SELECT * FROM a, b x, c AS y JOIN d ON d.i = y.i, e WHERE f IN (SELECT 1 FROM g), h", "abcdeg"),
        ("WITH q AS (SELECT * FROM a) SELECT b, c FROM q GROUP BY d, e", "aq"),
        ("SELECT * FROM (a JOIN public.b USING (i, j)), LATERAL (SELECT c FROM d LIMIT 1) e, f", "abdf"),
        ('SELECT 1 IS DISTINCT FROM a FROM "b", materialize.public.c, other.d, mz_catalog.e', "bc"),
        ("SELECT a FROM b UNION ALL SELECT c, d FROM e ORDER BY f, g", "be"),
        ("SELECT 'FROM a' AS t -- FROM b\n FROM c /* FROM d */", "c"),
    ],
)
def test_a_view_needs_what_its_query_reads(query: str, read: str) -> None:
    references = MaterializeObject.read(f"CREATE VIEW v AS {query}").references
    assert sorted(one.name for one in references) == list(read)


@pytest.mark.parametrize(
    ("statement", "references"),
    [
        ("CREATE INDEX v IN CLUSTER a ON b (c, d)", {"a": True, "b": False}),
        ("CREATE SOURCE v IN CLUSTER a FROM WEBHOOK BODY FORMAT JSON CHECK (WITH (HEADERS) b = 1)", {"a": True}),
        ("CREATE TABLE v (a int, b text)", {}),
        ("CREATE SOURCE v FROM WEBHOOK BODY FORMAT JSON CHECK (WITH (BODY, SECRET k AS s) s = b)", {"k": False}),
        ("CREATE MATERIALIZED VIEW v IN CLUSTER a AS SELECT 1 FROM b", {"a": True, "b": False}),
    ],
)
def test_the_other_kinds_need_their_cluster_and_what_they_are_on(statement: str, references: dict[str, bool]) -> None:
    assert {one.name: one.is_cluster for one in MaterializeObject.read(statement).references} == references


def test_the_digest_changes_with_the_meaning_only() -> None:
    digest = definition_digest("CREATE VIEW v AS SELECT 1 AS a")
    for same in (
        "create view V as\n  select 1 as A -- it",
        "CREATE OR REPLACE VIEW v AS SELECT 1 AS a",
        'CREATE VIEW IF NOT EXISTS "v" AS SELECT 1 AS a',
    ):
        assert definition_digest(same) == digest
    for other in (
        "CREATE VIEW v AS SELECT 1 AS b",
        'CREATE VIEW v AS SELECT 1 AS "A"',
        "CREATE VIEW v AS SELECT '1' AS a",
        "CREATE MATERIALIZED VIEW v AS SELECT 1 AS a",
    ):
        assert definition_digest(other) != digest


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE CLUSTER c (SIZE = '25cc')",
        "CREATE CLUSTER IF NOT EXISTS c SIZE = '25cc'",
        "create cluster C(SIZE = '25cc')",
    ],
)
def test_options_of_a_cluster_are_taken_as_written(statement: str) -> None:
    assert cluster_options(statement) == "SIZE = '25cc'"
