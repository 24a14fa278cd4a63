"""The project that the `host-metrics` blueprint makes is valid, and says what its README promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from thedata_cli.project.blueprints import find_blueprint
from thedata_cli.project.load import load_project
from thedata_cli.project.model import Project
from thedata_cli.project.scaffold import scaffold

FEEDS = ["cpu", "memory", "disk", "filesystem", "network"]


def made(directory: Path, **given: str) -> Project:
    blueprint = find_blueprint("host-metrics")
    scaffold(blueprint, directory, name="my-hosts", answers=blueprint.answers(given))
    return load_project(directory)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return made(tmp_path_factory.mktemp("made") / "my-hosts")


def test_it_is_valid_and_carries_its_name(project: Project) -> None:
    assert project.name == "my-hosts"
    assert list(project.components) == ["nats", "questdb", "materialize", "clickhouse", "worker"]


def test_every_stream_goes_to_both_stores_and_into_a_source(project: Project) -> None:
    assert {str(route.target) for route in project.routes} == {
        target
        for name in FEEDS
        for target in (f"questdb/table/{name}", f"clickhouse/table/{name}", f"materialize/source/{name}_raw")
    }


def test_rates_and_alerts_go_to_both_stores(project: Project) -> None:
    assert sorted((route.view.name, route.table.component) for route in project.view_routes) == [
        (view, engine) for view in ("alerts", "disk_rates", "network_rates") for engine in ("clickhouse", "questdb")
    ]


def test_every_feed_never_ends_and_has_a_subject_of_its_host(project: Project) -> None:
    assert list(project.feeds) == FEEDS
    for name, feed in project.feeds.items():
        assert feed.endless
        assert feed.subject == f"metrics.{name}.{{host}}"
        assert project.contracts[name].subject == f"metrics.{name}.>"


def test_thresholds_are_what_was_answered(tmp_path: Path) -> None:
    directory = tmp_path / "strict"
    made(directory, cpu_busy_percent="75.5", network_errors="3")
    rules = (directory / "views" / "alert_rules.sql").read_text()
    assert "'above', 75.5, 'warning'" in rules
    assert "'below', 10, 'critical'" in rules
    assert "'above', 3, 'warning'" in rules


def test_the_readme_names_only_queries_that_exist(project: Project) -> None:
    words = (project.directory / "README.md").read_text().split()
    named = {words[position + 1].strip("`") for position, word in enumerate(words) if word == "--name"}
    assert named - {"NAME"} <= project.queries.keys()
    assert {"current_state", "alerts"} <= named
