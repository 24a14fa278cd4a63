"""Plan and apply against the emulator: right after `apply`, `plan` is empty; changes take along what goes with them."""

from __future__ import annotations

import pytest
from tests.components.materialize.stack import Stack

from thedata_cli.errors import InvalidProjectError, RefusedError, StatementRejectedError
from thedata_cli.plan.changes import Action
from thedata_cli.plan.resources import ResourceId

pytestmark = pytest.mark.live

EVENTS = "CREATE SOURCE events FROM WEBHOOK BODY FORMAT JSON;\n"
DELAYS = (
    "-- One row a departure.\nCREATE VIEW delays AS\n"
    "SELECT body->>'carrier' AS carrier, body->>'delay' AS delay\nFROM events;\n"
)
WORST = "CREATE MATERIALIZED VIEW worst AS SELECT carrier, max(delay) AS delay FROM delays GROUP BY carrier;\n"
BY_CARRIER = "CREATE INDEX worst_by_carrier ON worst (carrier);\n"
CHAIN = {"a_index": BY_CARRIER, "b_worst": WORST, "c_delays": DELAYS, "d_events": EVENTS}
"""File names in the order opposite to that of creation."""

INDEX_GOES_ALONG = (
    "create materialize/index/worst_by_carrier: goes away with materialize/materialized_view/worst, which is replaced"
)

EACH_KIND = {
    "cluster": "CREATE CLUSTER serve (SIZE = '25cc', REPLICATION FACTOR = 1)",
    "source": "CREATE SOURCE events FROM WEBHOOK BODY FORMAT JSON",
    "source with everything": (
        "CREATE SOURCE IF NOT EXISTS signed IN CLUSTER quickstart FROM WEBHOOK BODY FORMAT JSON\n"
        "  INCLUDE HEADER 'x-id' AS id CHECK (WITH (HEADERS) headers->'x-key' = 's3;cret')"
    ),
    "table": "CREATE TABLE carriers (code text NOT NULL, name text, since timestamptz)",
    "webhook table": "CREATE TABLE hooks FROM WEBHOOK BODY FORMAT TEXT",
    "view": "CREATE OR REPLACE VIEW one AS SELECT 1 AS one",
    "quoted view": "CREATE VIEW \"Odd\" AS SELECT 1 AS \"Odd one\", 'it''s; -- no comment' AS text",
    "qualified view": "CREATE VIEW materialize.public.two AS SELECT 2 AS two",
    "materialized view": (
        "CREATE MATERIALIZED VIEW three IN CLUSTER quickstart WITH (RETAIN HISTORY FOR '1hr') AS\nSELECT 3 AS three"
    ),
}


@pytest.mark.parametrize("statement", EACH_KIND.values(), ids=EACH_KIND)
async def test_each_kind_is_as_declared_after_apply(stack: Stack, statement: str) -> None:
    (change,) = (await stack.apply({"it": statement})).changes
    assert (change.action, change.steps[0].call, change.loses) == (Action.CREATE, statement, "")
    assert str(await stack.plan({"it": statement})) == "no changes"
    assert str(await stack.plan({"it": f"/* Said otherwise. */ {statement}\n;"})) == "no changes"
    (change,) = (await stack.apply({})).changes
    assert change.action is Action.DELETE
    assert str(await stack.plan({})) == "no changes"


async def test_objects_are_created_after_what_they_read(stack: Stack) -> None:
    assert str(await stack.apply(CHAIN)).splitlines() == [
        "create materialize/source/events: declared, not found",
        "create materialize/view/delays: declared, not found",
        "create materialize/materialized_view/worst: declared, not found",
        "create materialize/index/worst_by_carrier: declared, not found",
    ]
    assert str(await stack.plan(CHAIN)) == "no changes"
    (found,) = await stack.rows("SELECT count(*) FROM mz_catalog.mz_indexes WHERE name = 'worst_by_carrier'")
    assert found == (1,)


async def test_what_is_no_longer_declared_goes_after_what_reads_it(stack: Stack) -> None:
    await stack.apply(CHAIN)
    plan = await stack.apply({})
    assert str(plan).splitlines() == [
        "delete materialize/materialized_view/worst: no longer declared",
        "delete materialize/view/delays: no longer declared",
        "delete materialize/source/events: no longer declared [loses all its rows]",
    ]
    assert await stack.rows("SELECT name FROM mz_catalog.mz_objects WHERE id LIKE 'u%'") == []


async def test_a_changed_view_is_made_anew_with_what_reads_it_and_loses_nothing(stack: Stack) -> None:
    await stack.apply(CHAIN)
    changed = {**CHAIN, "c_delays": DELAYS.replace("body->>'delay'", "(body->>'delay')::int")}
    plan = await stack.apply(changed)
    assert str(plan).splitlines() == [
        "replace materialize/view/delays: definition differs",
        "replace materialize/materialized_view/worst: materialize/view/delays is replaced",
        INDEX_GOES_ALONG,
    ]
    assert [step.call for step in plan.changes[0].steps[:2]] == [
        'DROP MATERIALIZED VIEW IF EXISTS "worst"',
        'DROP VIEW IF EXISTS "delays"',
    ]
    plan.refuse_data_loss(allowed=False)
    assert str(await stack.plan(changed)) == "no changes"


async def test_a_changed_source_says_that_its_rows_are_lost(stack: Stack) -> None:
    await stack.apply(CHAIN)
    changed = {**CHAIN, "d_events": EVENTS.replace("JSON", "JSON ARRAY")}
    plan = await stack.plan(changed)
    with pytest.raises(RefusedError, match="replace materialize/source/events loses all its rows"):
        plan.refuse_data_loss(allowed=False)
    assert [change.loses for change in plan.changes] == ["all its rows", "", "", ""]
    await stack.apply(changed)
    assert str(await stack.plan(changed)) == "no changes"


async def test_a_difference_shows_both_definitions(stack: Stack) -> None:
    await stack.apply({"v": "CREATE VIEW v AS SELECT 1 AS a"})
    (change,) = (await stack.plan({"v": "CREATE VIEW v AS SELECT 2 AS a"})).changes
    (difference,) = change.differences
    assert difference.path == "definition"
    assert "materialize.public.v" in str(difference.before)
    assert difference.after == "CREATE VIEW v AS SELECT 2 AS a"


async def test_a_view_may_become_a_materialized_one_under_its_readers(stack: Stack) -> None:
    await stack.apply(CHAIN)
    changed = {**CHAIN, "c_delays": DELAYS.replace("CREATE VIEW", "CREATE MATERIALIZED VIEW")}
    assert str(await stack.apply(changed)).splitlines() == [
        "delete materialize/view/delays: no longer declared",
        "create materialize/materialized_view/delays: declared, not found",
        "replace materialize/materialized_view/worst: needs differs",
        INDEX_GOES_ALONG,
    ]
    assert str(await stack.plan(changed)) == "no changes"
    back = await stack.apply(CHAIN)
    assert not [change for change in back.changes if change.loses]
    assert str(await stack.plan(CHAIN)) == "no changes"


async def test_an_index_stays_when_its_view_changes_its_kind(stack: Stack) -> None:
    views = {"v": "CREATE VIEW v AS SELECT 1 AS a", "i": "CREATE INDEX i ON v (a)"}
    await stack.apply(views)
    changed = {**views, "v": "CREATE MATERIALIZED VIEW v AS SELECT 1 AS a"}
    await stack.apply(changed)
    assert str(await stack.plan(changed)) == "no changes"
    assert await stack.rows("SELECT name FROM mz_catalog.mz_indexes WHERE id LIKE 'u%'") == [("i",)]


async def test_a_view_may_go_together_with_the_change_of_its_reader(stack: Stack) -> None:
    await stack.apply(CHAIN)
    changed = {
        "b_worst": "CREATE MATERIALIZED VIEW worst AS SELECT body->>'carrier' AS carrier FROM events",
        "a_index": BY_CARRIER,
        "d_events": EVENTS,
    }
    await stack.apply(changed)
    assert str(await stack.plan(changed)) == "no changes"
    assert await stack.rows("SHOW VIEWS") == []


async def test_a_view_that_goes_from_under_its_reader_is_a_mistake(stack: Stack) -> None:
    await stack.apply(CHAIN)
    with pytest.raises(InvalidProjectError) as raised:
        await stack.plan({name: text for name, text in CHAIN.items() if name != "c_delays"})
    (problem,) = raised.value.problems
    column = WORST.index("delays") + 1
    assert str(problem).startswith(
        f"views/b_worst.sql:1:{column}: materialized view worst needs view delays, which the project no longer declares"
    )


async def test_a_cluster_changes_in_place(stack: Stack) -> None:
    before = {"c": "CREATE CLUSTER serve (SIZE = '25cc')", "e": EVENTS.replace("FROM", "IN CLUSTER serve FROM")}
    after = {**before, "c": "CREATE CLUSTER serve (SIZE = '50cc')"}
    await stack.apply(before)
    (change,) = (await stack.apply(after)).changes
    assert (change.action, change.loses) == (Action.UPDATE, "")
    assert change.steps[0].call == "ALTER CLUSTER \"serve\" SET (SIZE = '50cc')"
    assert await stack.rows("SELECT size FROM mz_catalog.mz_clusters WHERE name = 'serve'") == [("50cc",)]
    assert str(await stack.plan(after)) == "no changes"


async def test_a_cluster_keeps_its_mark_beside_an_object_of_the_same_number(stack: Stack) -> None:
    cluster, view = 0, -1
    while cluster != view:
        if cluster < view:
            await stack.run("DROP CLUSTER IF EXISTS serve")
            await stack.run("CREATE CLUSTER serve (SIZE = '25cc')")
            ((number,),) = await stack.rows("SELECT id FROM mz_catalog.mz_clusters WHERE name = 'serve'")
            cluster = int(number[1:])
        else:
            await stack.run("DROP VIEW IF EXISTS other")
            await stack.run("CREATE VIEW other AS SELECT 1 AS a")
            ((number,),) = await stack.rows("SELECT id FROM mz_catalog.mz_views WHERE name = 'other'")
            view = int(number[1:])
    views = {"c": "CREATE CLUSTER serve (SIZE = '25cc')"}
    await stack.apply(views, adopt=[ResourceId("materialize", "cluster", "serve")])
    assert str(await stack.plan(views)) == "no changes"
    await stack.run("COMMENT ON VIEW other IS 'by hand'")
    assert str(await stack.plan(views)) == "no changes"


async def test_what_others_made_is_left_alone(stack: Stack) -> None:
    await stack.run("CREATE TABLE theirs (a int)")
    await stack.run("COMMENT ON TABLE theirs IS '[thedata:weather 0123456789abcdef]'")
    await stack.run("CREATE VIEW by_hand AS SELECT 1 AS a")
    await stack.apply({"v": "CREATE VIEW v AS SELECT a FROM theirs"})
    await stack.apply({})
    assert await stack.rows("SELECT name FROM mz_catalog.mz_objects WHERE id LIKE 'u%' ORDER BY 1") == [
        ("by_hand",),
        ("theirs",),
    ]


async def test_what_others_read_is_not_dropped(stack: Stack) -> None:
    await stack.apply({"v": "CREATE VIEW v AS SELECT 1 AS a"})
    await stack.run("CREATE VIEW theirs AS SELECT a FROM v")
    with pytest.raises(StatementRejectedError, match="still depended upon by"):
        await stack.apply({"v": "CREATE VIEW v AS SELECT 2 AS a"})
    assert await stack.rows("SELECT a FROM theirs") == [(1,)]


async def test_a_taken_name_is_a_conflict_until_it_is_taken_over(stack: Stack) -> None:
    await stack.run("CREATE VIEW v AS SELECT 1 AS a")
    views = {"v": "CREATE VIEW v AS SELECT 2 AS a"}
    assert str(await stack.plan(views)) == "conflict materialize/view/v exists and was not created by thedata"
    await stack.apply(views, adopt=[ResourceId("materialize", "view", "v")])
    assert await stack.rows("SELECT a FROM v") == [(2,)]
    assert str(await stack.plan(views)) == "no changes"


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("CREATE TABLE v (a nosuchtype)", "views/v.sql:1:"),
        ("CREATE MATERIALIZED VIEW v IN CLUSTER nope AS SELECT 1 AS a", "views/v.sql:1:39: "),
    ],
    ids=["type", "cluster"],
)
async def test_a_refused_statement_is_told_with_its_place(stack: Stack, statement: str, place: str) -> None:
    with pytest.raises(StatementRejectedError) as raised:
        await stack.apply({"events": EVENTS, "v": statement})
    assert raised.value.message.startswith(place)
    assert "Materialize: " in raised.value.message


@pytest.mark.parametrize("has_source", [True, False])
@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("-- A comment.\n\nCREATE VIEW v AS\nSELECT 1 AS a,\n  nope FROM events", "views/v.sql:5:3"),
        ("/* one */ CREATE VIEW v (a) WITH (RETAIN HISTORY FOR '1h') AS SELECT * FROM nope", "views/v.sql:1:77"),
        ("CREATE MATERIALIZED VIEW v AS SELECT body->>'a' FROM events WHERE (a) > 1", "views/v.sql:1:68"),
        ("CREATE VIEW v AS SELECT 1 +\n", "views/v.sql:1:"),
    ],
    ids=["column", "relation", "column of a new source", "syntax"],
)
async def test_a_query_that_the_server_refuses_is_a_mistake_of_the_plan(
    stack: Stack, statement: str, place: str, has_source: bool
) -> None:
    if has_source:
        await stack.apply({"events": EVENTS})
    with pytest.raises(InvalidProjectError) as raised:
        await stack.plan({"events": EVENTS, "v": statement})
    (problem,) = raised.value.problems
    assert str(problem.position).startswith(place)


async def test_a_change_that_the_server_refuses_costs_nothing(stack: Stack) -> None:
    await stack.apply(CHAIN)
    before = await stack.rows("SELECT id, name FROM mz_catalog.mz_objects ORDER BY id")
    for broken in ("FROM nope", "FROM events WHERE nope", "FROM events, LATERAL (SELECT carrier) AS c"):
        views = {**CHAIN, "c_delays": DELAYS.replace("FROM events", broken)}
        with pytest.raises(InvalidProjectError) as raised:
            await stack.apply(views)
        assert [problem.position.file.name for problem in raised.value.problems] == ["c_delays.sql"]
    assert await stack.rows("SELECT id, name FROM mz_catalog.mz_objects ORDER BY id") == before
    renamed = {**CHAIN, "c_delays": DELAYS.replace("AS delay", "AS minutes")}
    with pytest.raises(InvalidProjectError) as raised:
        await stack.plan(renamed)
    (problem,) = raised.value.problems
    assert (str(problem.position), "delay" in problem.message) == ("views/b_worst.sql:1:55", True)
    both = {**renamed, "b_worst": WORST.replace("max(delay)", "max(minutes)")}
    await stack.apply(both)
    assert str(await stack.plan(both)) == "no changes"


async def test_apply_goes_on_where_it_stopped(stack: Stack) -> None:
    broken = {**CHAIN, "e_table": "CREATE TABLE worse (a nosuchtype)"}
    with pytest.raises(StatementRejectedError, match="nosuchtype"):
        await stack.apply(broken)
    await stack.apply(CHAIN)
    assert str(await stack.plan(CHAIN)) == "no changes"
