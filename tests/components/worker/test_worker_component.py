"""How the worker's process is started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from thedata_cli import __version__
from thedata_cli.component_api.embedded import HttpProbe, Placement
from thedata_cli.components.worker.component import WorkerComponent


def placement(environment: str = "") -> Placement:
    root = Path("/projects/flights")
    return Placement(root / "d", root / "c", root / "k", root, "127.0.0.1", {"health": 8231}, environment)


def test_it_runs_this_thedata_on_the_chosen_port() -> None:
    worker = WorkerComponent()
    process = worker.embedded_process(placement("staging"), worker.install(placement(), lambda _: None))
    assert process.command == (
        sys.executable, "-m", "thedata_cli", "serve", "worker",
        "--project", "/projects/flights", "--environment", "staging", "--host", "127.0.0.1", "--port", "8231",
    )  # fmt: skip
    assert process.probe == HttpProbe("health", "/healthz")


def test_without_an_environment_the_default_one_runs() -> None:
    worker = WorkerComponent()
    process = worker.embedded_process(placement(), worker.install(placement(), lambda _: None))
    assert "--environment" not in process.command


def test_it_is_as_old_as_thedata() -> None:
    assert WorkerComponent().wanted_version == __version__
    assert WorkerComponent(version=__version__).wanted_version == __version__
    with pytest.raises(ValidationError, match="part of thedata"):
        WorkerComponent(version="99.0.0")
