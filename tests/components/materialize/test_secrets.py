"""Secrets as resources: their values are in `secrets/` and in the server, and are shown nowhere."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

import pytest
from tests.components.materialize.emulator_process import Emulator
from tests.components.materialize.stack import SECRETS, Stack, connected, project

from thedata_cli.component_api.endpoints import SecretSpec
from thedata_cli.components.materialize.component import MaterializeComponent
from thedata_cli.components.materialize.secret_values import value_digest
from thedata_cli.errors import InvalidProjectError, StatementRejectedError
from thedata_cli.health import CheckStatus
from thedata_cli.plan.changes import Action, Step

KEY = "CREATE SECRET webhook_key AS :'webhook_key'"
EVENTS = (
    "CREATE SOURCE events FROM WEBHOOK BODY FORMAT JSON\n"
    "  CHECK (WITH (HEADERS, SECRET webhook_key AS key) headers->'x-key' = key)"
)
VIEWS = {"a_events": EVENTS, "b_key": KEY}


@pytest.mark.live
async def test_a_secret_is_made_before_what_uses_it_and_is_as_declared_after_apply(stack: Stack) -> None:
    plan = await stack.apply(VIEWS)
    assert str(plan).splitlines() == [
        "create materialize/secret/webhook_key: declared, not found",
        "create materialize/source/events: declared, not found",
    ]
    assert plan.changes[0].steps[0] == Step(KEY)
    assert str(await stack.plan(VIEWS)) == "no changes"
    assert str(await stack.plan({**VIEWS, "b_key": f"-- Ours.\n{KEY.lower()};"})) == "no changes"


@pytest.mark.live
async def test_a_changed_value_is_brought_to_the_server_in_place(
    stack: Stack, materialize: Emulator, tmp_path: Path
) -> None:
    await stack.apply(VIEWS)
    async with connected(materialize, tmp_path, {"webhook_key": "another"}) as rotated:
        (change,) = (await rotated.apply(VIEWS)).changes
        assert (change.action, change.loses, change.cause) == (Action.UPDATE, "", "value differs")
        assert change.steps[0] == Step("ALTER SECRET \"webhook_key\" AS :'webhook_key'")
        assert str(await rotated.plan(VIEWS)) == "no changes"


@pytest.mark.live
async def test_a_secret_goes_after_what_uses_it(stack: Stack) -> None:
    await stack.apply(VIEWS)
    assert [str(change.id) for change in (await stack.apply({})).changes] == [
        "materialize/source/events", "materialize/secret/webhook_key",
    ]  # fmt: skip
    assert await stack.rows("SELECT name FROM mz_catalog.mz_secrets") == []


@pytest.mark.live
async def test_no_error_shows_the_value(stack: Stack) -> None:
    await stack.run("CREATE VIEW webhook_key AS SELECT 1")
    with pytest.raises(StatementRejectedError, match="already exists") as raised:
        await stack.run(KEY)
    shown = "".join(traceback.format_exception(raised.value)) + raised.value.detail + raised.value.hint
    assert "the key" in SECRETS["webhook_key"]
    assert "the key" not in shown


@pytest.mark.live
async def test_a_value_that_is_not_known_is_told_with_the_file_to_write(
    stack: Stack, materialize: Emulator, tmp_path: Path
) -> None:
    async with connected(materialize, tmp_path, {}) as other:
        with pytest.raises(InvalidProjectError) as raised:
            await other.plan(VIEWS)
        assert raised.value.detail == (
            "views/b_key.sql:1:1: the value of the secret webhook_key is not known; write it into secrets/webhook_key"
        )
        with pytest.raises(StatementRejectedError) as refused:
            await other.run(KEY)
        assert refused.value.hint == "write it into secrets/webhook_key"


@pytest.mark.live
async def test_the_doctor_tells_values_that_were_not_brought_to_the_server(
    stack: Stack, materialize: Emulator, tmp_path: Path
) -> None:
    await stack.apply(VIEWS)
    async with connected(materialize, tmp_path, {"webhook_key": "another"}) as rotated:
        for one, status in ((stack, CheckStatus.OK), (rotated, CheckStatus.WARNING)):
            (found,) = [result for result in await one.live.check() if result.name == "materialize.secrets"]
            assert found.status is status
        assert found.summary == "other values than in secrets/: webhook_key"


def test_the_project_has_a_file_for_each_secret(tmp_path: Path) -> None:
    view = project(tmp_path, {**VIEWS, "other": "CREATE SECRET other AS :'webhook_key'"})
    assert [spec.name for spec in MaterializeComponent().secrets_for(view)] == ["webhook_key"]
    view = project(tmp_path, VIEWS)
    assert MaterializeComponent().secrets_for(view) == [
        SecretSpec("webhook_key", "value of the secret webhook_key in Materialize")
    ]


def test_a_secret_that_no_file_declares_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InvalidProjectError) as raised:
        project(tmp_path, {"a_events": EVENTS})
    assert raised.value.detail == (
        "views/a_events.sql:2:32: references.webhook_key: unknown secret 'webhook_key'; "
        "declare it in a file of views/: CREATE SECRET webhook_key AS :'webhook_key'"
    )
    with pytest.raises(InvalidProjectError, match="1 mistake") as raised:
        project(tmp_path, {"a_events": EVENTS, "v": "CREATE MATERIALIZED VIEW webhook_key AS SELECT 1"})
    assert "'webhook_key' is a materialized view, no secret" in raised.value.detail


def test_a_digest_is_quick_and_of_one_secret_of_one_project() -> None:
    began = time.process_time()
    digests = {value_digest(project, name, "k") for project in ("flights", "weather") for name in ("a", "b")}
    assert (time.process_time() - began) / 4 < 0.1
    assert len(digests) == 4
