"""The ports of a stack that does not run: free, or taken by somebody with a name."""

from __future__ import annotations

import os
import socket

from thedata_cli.components.worker.component import WorkerComponent
from thedata_cli.targets.embedded.states import ServicePhase, ServiceState
from thedata_cli.targets.port_check import check_ports

COMPONENTS = {"worker": WorkerComponent()}


def test_a_taken_port_is_told_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        states = [ServiceState("worker", ServicePhase.STOPPED, ports={"health": number})]
        taken = check_ports(COMPONENTS, states)
        assert f"{number} by pid {os.getpid()}" in taken.summary
        running = [ServiceState("worker", ServicePhase.HEALTHY, pid=os.getpid(), ports={"health": number})]
        assert check_ports(COMPONENTS, running).summary == "every service runs on its ports"
    assert check_ports(COMPONENTS, states).summary == "the ports of all stopped services are free"
