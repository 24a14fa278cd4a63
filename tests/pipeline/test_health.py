"""What a probe, Prometheus and a person read from the worker's port."""

from __future__ import annotations

import asyncio
import logging
import socket
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.pipeline.routes import route_to
from thedata_cli.errors import ServiceStartError, ServiceUnreachableError, StatementRejectedError
from thedata_cli.pipeline.health import health_server
from thedata_cli.pipeline.progress import RouteProgress, RouteState


async def get(port: int, path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(verify=False) as client:
        return await client.request(method, f"http://127.0.0.1:{port}{path}")


async def test_healthz_tells_the_state_of_each_route() -> None:
    flows, held_up = RouteProgress(route_to("questdb", "readings")), RouteProgress(route_to("clickhouse", "readings"))
    flows.running()
    flows.written(rows=7, dead_letters=1, newest=datetime.now(UTC) - timedelta(seconds=3))
    held_up.failed(RouteState.RETRYING, "clickhouse", ServiceUnreachableError("nothing listens", hint="`thedata up`"))
    async with health_server([flows, held_up], host="127.0.0.1", port=0) as port:
        response = await get(port, "/healthz")
    assert response.status_code == 200
    answer = response.json()
    assert answer["status"] == "degraded"
    first, second = answer["routes"]
    assert (first["state"], first["rows"], first["dead_letters"], first["target"]) == (
        "running",
        7,
        1,
        "questdb/readings",
    )
    assert 3 <= first["lag_seconds"] < 5
    assert second["state"] == "retrying"
    assert second["reason"] == "clickhouse: nothing listens (`thedata up`)"
    assert second["last_error"] == "clickhouse: nothing listens"
    assert (second["rows"], second["retries"]) == (0, 1)


async def test_a_worker_without_routes_is_healthy() -> None:
    async with health_server([], host="127.0.0.1", port=0) as port:
        answer = (await get(port, "/healthz")).json()
    assert (answer["status"], answer["routes"]) == ("ok", [])


async def test_metrics_are_prometheus_text() -> None:
    progress = RouteProgress(route_to("questdb", "readings"))
    progress.running()
    progress.written(rows=12_345_678, dead_letters=2, newest=datetime.now(UTC))
    async with health_server([progress], host="127.0.0.1", port=0) as port:
        response = await get(port, "/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    labels = '{pipeline="readings",component="questdb",target="readings"}'
    assert "# TYPE thedata_worker_rows_total counter" in response.text
    assert f"thedata_worker_rows_total{labels} 12345678.0\n" in response.text
    assert f"thedata_worker_dead_letters_total{labels} 2.0\n" in response.text
    assert f"thedata_worker_running{labels} 1.0\n" in response.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/healthz", 405), ("HEAD", "/healthz", 200)]
)
async def test_other_requests_are_answered_too(method: str, path: str, status: int) -> None:
    async with health_server([], host="127.0.0.1", port=0) as port:
        response = await get(port, path, method)
    assert response.status_code == status


async def test_a_client_that_sends_nonsense_or_leaves_does_no_harm() -> None:
    async with health_server([], host="127.0.0.1", port=0) as port:
        for nonsense in (b"", b"\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"x" * 100_000):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(nonsense)
            writer.close()
        assert (await get(port, "/healthz")).status_code == 200


async def test_a_taken_port_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServiceStartError, match=f"127.0.0.1:{port}"):
            async with health_server([], host="127.0.0.1", port=port):
                pass


def test_the_log_has_a_line_for_each_change_and_none_for_each_attempt(caplog: pytest.LogCaptureFixture) -> None:
    progress = RouteProgress(route_to("questdb", "readings"))
    with caplog.at_level(logging.INFO, logger="thedata.worker"):
        for _ in range(50):
            progress.failed(RouteState.RETRYING, "questdb", ServiceUnreachableError("nothing listens"))
        progress.failed(RouteState.RETRYING, "questdb", StatementRejectedError("no such table"))
        for _ in range(3):
            progress.running()
    assert [record.getMessage() for record in caplog.records] == [
        "readings-questdb-readings: retrying: questdb: nothing listens",
        "readings-questdb-readings: retrying: questdb: no such table",
        "readings-questdb-readings: running",
    ]
    assert progress.retries == 51
