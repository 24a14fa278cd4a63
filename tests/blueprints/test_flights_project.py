"""The project that the `flights` blueprint makes is valid, and says what its README promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from thedata_cli.project.blueprints import find_blueprint
from thedata_cli.project.load import load_project
from thedata_cli.project.model import Project
from thedata_cli.project.scaffold import scaffold


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    blueprint = find_blueprint("flights")
    directory = tmp_path_factory.mktemp("made") / "my-flights"
    scaffold(blueprint, directory, name="my-flights", answers=blueprint.answers({}))
    return load_project(directory)


def test_it_is_valid_and_carries_its_name(project: Project) -> None:
    assert project.name == "my-flights"
    assert list(project.components) == ["nats", "questdb", "materialize", "clickhouse", "worker"]


def test_departures_and_weather_go_everywhere_and_reference_data_to_one_store(project: Project) -> None:
    assert sorted(route.consumer for route in project.routes) == [
        "airports-clickhouse-airports",
        "carriers-clickhouse-carriers",
        "departures-clickhouse-departures",
        "departures-materialize-departures_raw",
        "departures-questdb-departures",
        "planes-clickhouse-planes",
        "weather-clickhouse-weather",
        "weather-materialize-weather_raw",
        "weather-questdb-weather",
    ]


def test_views_are_kept_in_tables(project: Project) -> None:
    assert sorted(f"{route.view.name} -> {route.table}" for route in project.view_routes) == [
        "recent_delays -> clickhouse/table/recent_delays",
        "recent_delays -> questdb/table/recent_delays",
        "weather_delays -> clickhouse/table/weather_delays",
    ]
    assert [spec.name for spec in project.secrets["materialize"]] == ["webhook_key"]


def test_every_feed_has_a_subject_that_its_stream_and_one_contract_take(project: Project) -> None:
    assert list(project.feeds) == ["departures", "weather", "airports", "carriers", "planes"]
    for name, feed in project.feeds.items():
        (field,) = [part[1:-1] for part in feed.subject.split(".") if part.startswith("{")]
        assert project.contracts[name].field(field)
        assert feed.subject.startswith(project.contracts[name].subject.removesuffix(">"))


def test_the_readme_names_only_queries_that_exist(project: Project) -> None:
    words = (project.directory / "README.md").read_text().split()
    named = {words[position + 1].strip("`") for position, word in enumerate(words) if word == "--name"}
    assert named - {"NAME"} <= project.queries.keys()
    assert "delays_by_carrier" in named
    assert Path(project.directory / "queries" / "delays_by_carrier.sql").is_file()
