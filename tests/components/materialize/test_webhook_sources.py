"""Webhook sources as targets of pipelines, without a server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.components.materialize.stack import project
from tests.components.materialize.test_webhook_writer import CHECK, EVENTS, SOURCE, route_to

from thedata_cli.components.materialize.component import MaterializeComponent
from thedata_cli.components.materialize.webhook_sources import WebhookDefinition, webhook_definition
from thedata_cli.errors import SourcePosition


def pipeline_problems(directory: Path, source: str, statement: str, **others: str) -> list[str]:
    """The mistakes of a pipeline into a source that a project declares with this statement."""
    view = replace(project(directory, {"events": statement, **others}), routes=(route_to(source, EVENTS),))
    place = SourcePosition(Path("pipelines/events.yaml"), 4, 5)
    view = replace(view, routes=tuple(replace(route, position=place) for route in view.routes))
    return [str(problem) for problem in MaterializeComponent().problems(view)]


def test_a_pipeline_leads_into_a_declared_source_that_takes_json(tmp_path: Path) -> None:
    assert pipeline_problems(tmp_path, "events", SOURCE) == []
    assert pipeline_problems(tmp_path, "nope", SOURCE) == [
        "pipelines/events.yaml:4:5: sources: unknown source materialize/nope; declare it in views/"
    ]
    assert pipeline_problems(tmp_path, "events", SOURCE.replace("JSON", "text")) == [
        "pipelines/events.yaml:4:5: sources: source materialize/events takes TEXT, and no rows of a pipeline; "
        "rows are sent as JSON: its definition must say BODY FORMAT JSON"
    ]


def test_rows_are_signed_with_the_file_that_has_the_name_of_the_secret(tmp_path: Path) -> None:
    key = "CREATE SECRET webhook_key AS :'webhook_key'"
    assert pipeline_problems(tmp_path, "events", f"{SOURCE} {CHECK}", key=key) == []
    assert pipeline_problems(tmp_path, "events", f"{SOURCE} {CHECK}", key=key.replace(":'webhook", ":'other")) == [
        "pipelines/events.yaml:4:5: sources: rows for source materialize/events are signed with secrets/webhook_key, "
        "not other_key; write CREATE SECRET webhook_key AS :'webhook_key'"
    ]


@pytest.mark.parametrize(
    ("check", "secrets"),
    [
        ("", ()),
        (CHECK, ("webhook_key",)),
        ("CHECK (WITH (HEADERS, SECRET [u7 AS materialize.public.k] AS secret, SECRET b) secret = 'x')", ("k", "b")),
        ("CHECK (WITH (HEADERS AS secret) (secret->'x') = (')'))", ()),
        ("CHECK (headers->'x' = 'SECRET k')", ()),
    ],
)
def test_a_definition_is_read_however_the_server_spells_it(check: str, secrets: tuple[str, ...]) -> None:
    found = webhook_definition(
        f'CREATE SOURCE "s"\n IN CLUSTER c FROM WEBHOOK BODY FORMAT json INCLUDE HEADERS {check};'
    )
    assert found == WebhookDefinition("json", check, secrets)
