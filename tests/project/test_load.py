"""A valid project, whole: what comes out of the files, for each environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.project.conftest import BASE, Files, write
from thedata_cli.errors import UsageError
from thedata_cli.plan.resources import ResourceId
from thedata_cli.project.files import find_project
from thedata_cli.project.load import load_project, open_project
from thedata_cli.project.model import Project

Load = Callable[..., Project]


def test_everything_is_there(load: Load, tmp_path: Path) -> None:
    project = load()
    assert (project.name, project.environment, project.directory) == ("flights", "dev", tmp_path)
    assert list(project.components) == ["nats", "questdb", "clickhouse", "worker"]
    assert {key: [item.model.name for item in items] for key, items in project.declared.items()} == {
        "nats": ["departures"], "questdb": ["departures"], "clickhouse": ["departures"],
    }  # fmt: skip
    assert list(project.contracts) == ["departures"]
    assert project.queries["late"].description == "The latest carriers"
    assert project.queries["late"].sql.splitlines()[2].startswith("select carrier")


def test_each_table_of_a_pipeline_is_a_route(load: Load) -> None:
    project = load(
        {
            "pipelines/departures.yaml": """\
                name: departures
                stream: departures
                subject: flights.departures.JFK
                tables: [questdb/departures, clickhouse/departures]
                batch: {max_messages: 10, max_wait: 2s}
                """
        }
    )
    routes = project.routes
    assert [str(route.target) for route in routes] == ["questdb/table/departures", "clickhouse/table/departures"]
    assert [str(route.position) for route in routes] == [
        "pipelines/departures.yaml:4:10",
        "pipelines/departures.yaml:4:30",
    ]
    assert {route.stream for route in routes} == {ResourceId("nats", "stream", "departures")}
    assert {(route.subject, route.max_batch, route.max_wait_s) for route in routes} == {
        ("flights.departures.JFK", 10, 2.0)
    }
    assert {route.contract.name for route in routes} == {"departures"}
    assert {route.dead_letter_stream for route in routes} == {"dead-letters"}
    assert project.view("questdb").routes == routes


def test_the_narrowest_contract_needs_no_name(load: Load) -> None:
    project = load(
        {
            "contracts/other.yaml": "x-subject: flights.departures.special\ntype: object\n"
            "properties: {carrier: {type: string}}\n",
        }
    )
    assert {route.contract.name for route in project.routes} == {"departures"}


def test_the_worker_is_only_there_for_pipelines(tmp_path: Path) -> None:
    without = {name: text for name, text in BASE.items() if not name.startswith("pipelines")}
    assert list(load_project(write(tmp_path, without)).components) == ["nats", "questdb", "clickhouse"]


def test_a_contract_may_be_json(load: Load) -> None:
    project = load(
        {
            "contracts/weather.json": '{"x-subject": "weather", "type": "object",\n\t"properties": '
            '{"at": {"type": "string", "format": "date-time", "x-event-time": true}}, "required": ["at"]}'
        }
    )
    assert project.contracts["weather"].event_time == "at"


def test_other_files_are_nobodys_business(load: Load) -> None:
    others: Files = {
        "docs/notes.yaml": "]broken[", "tables/README.md": "#", "tables/.hidden.yaml": "]", "feeds/x.py": "",
        "streams/.git/x.yaml": "]", "tables/x.yaml~": "]", ".github/workflows/ci.yml": "]",
    }  # fmt: skip
    assert load(others) == load()


def test_a_link_to_a_file_is_read_and_a_circle_is_not(load: Load, tmp_path: Path) -> None:
    write(tmp_path, {"elsewhere.txt": "name: linked\nsubjects: [linked]\n", "streams/departures.yaml": ""})
    (tmp_path / "streams" / "linked.yaml").symlink_to(tmp_path / "elsewhere.txt")
    (tmp_path / "streams" / "circle").symlink_to(tmp_path / "streams")
    (tmp_path / "streams" / "dangling.yaml").symlink_to(tmp_path / "nowhere")
    assert sorted(item.model.name for item in load().declared["nats"]) == ["departures", "linked"]


# Where a project is


def test_a_project_is_found_from_below(tmp_path: Path) -> None:
    write(tmp_path, {**BASE, "tables/deep/er/x.txt": ""})
    assert find_project(tmp_path / "tables/deep/er") == tmp_path
    assert open_project(tmp_path / "tables/deep").name == "flights"


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no project here") as caught:
        find_project(tmp_path)
    assert "thedata init NAME" in caught.value.hint
    with pytest.raises(UsageError, match=r"has no thedata.yaml"):
        load_project(tmp_path)


# Environments


PROD: Files = {
    "environments/prod.yaml": """\
        components:
          nats: {max_payload: 2MB, sync_interval: always}
          clickhouse: {database: prod}
        """
}


def test_an_overlay_merges(load: Load) -> None:
    base, prod = load(PROD), load(PROD, "prod")
    assert (base.environment, prod.environment) == ("dev", "prod")
    assert getattr(base.components["nats"], "max_payload", None) == 2**20
    assert getattr(prod.components["nats"], "max_payload", None) == 2_000_000
    assert getattr(prod.components["clickhouse"], "database", None) == "prod"
    assert list(prod.components) == list(base.components)


def test_null_removes(load: Load) -> None:
    files: Files = {
        "environments/prod.yaml": "components: {clickhouse: {database: null}}\n",
        "environments/dev.yaml": "",
    }
    assert getattr(load(files, "prod").components["clickhouse"], "database", None) == "default"


def test_an_environment_that_is_not_there(load: Load) -> None:
    with pytest.raises(UsageError, match="the project has no environment 'prd'") as caught:
        load(PROD, "prd")
    assert caught.value.hint == "did you mean 'prod'? A new one is a file environments/prd.yaml"
