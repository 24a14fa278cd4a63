"""What the doctor learns about routes that stand still, asked of the worker's own health port."""

from __future__ import annotations

from dataclasses import replace

from tests.pipeline.routes import route_to
from thedata_cli.errors import ServiceUnreachableError
from thedata_cli.pipeline.health import health_server
from thedata_cli.pipeline.progress import RouteProgress, RouteState
from thedata_cli.targets.embedded.states import ServicePhase, ServiceState
from thedata_cli.targets.route_check import held_up_routes


async def test_only_routes_that_stand_still_are_told_with_their_reason() -> None:
    flows, stands = RouteProgress(route_to("questdb", "readings")), RouteProgress(route_to("clickhouse", "readings"))
    flows.running()
    stands.failed(RouteState.RETRYING, "clickhouse", ServiceUnreachableError("it does not answer", hint="thedata up"))
    async with health_server([flows, stands], host="127.0.0.1", port=0) as port:
        worker = ServiceState("worker", ServicePhase.HEALTHY, pid=1, host="127.0.0.1", ports={"health": port})
        assert await held_up_routes([worker]) == {
            stands.route.name: "clickhouse: it does not answer (thedata up)",
        }
        assert await held_up_routes([replace(worker, pid=None)]) == {}
    assert await held_up_routes([worker]) == {}
