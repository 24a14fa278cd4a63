"""Connecting: who does not answer, who does not let us in, and who is somebody else."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
import pytest
from tests.components.nats.cases import COMPONENT, apply, project, stream, until_a_consumer_waits
from tests.components.nats_process import NatsServer, running_nats

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.component_api.live import LiveComponent, TailStart
from thedata_cli.components.nats.component import PASSWORD_SECRET, NatsComponent
from thedata_cli.components.nats.connection import mapped_errors
from thedata_cli.components.nats.live import NatsLive
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError, TheDataError

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


async def connect(endpoint: Endpoint) -> LiveComponent:
    async with COMPONENT.connect(endpoint, "flights") as live:
        return live


@asynccontextmanager
async def something_else(talk: Talk) -> AsyncIterator[Endpoint]:
    """A program on the port that is no NATS server."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        yield Endpoint("127.0.0.1", {"client": port, "monitor": port}, {PASSWORD_SECRET: "x"})


async def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    endpoint = Endpoint("127.0.0.1", {"client": port, "monitor": port})
    with pytest.raises(ServiceUnreachableError, match=f"nothing listens at 127.0.0.1:{port}") as caught:
        await connect(endpoint)
    assert "thedata up" in caught.value.hint


async def test_a_web_server_is_not_a_nats_server() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with something_else(talk) as endpoint:
        with pytest.raises(ServiceUnreachableError, match="is not a NATS server") as caught:
            await connect(endpoint)
    assert "taken the port" in caught.value.hint


async def test_a_program_that_says_a_lot_is_not_a_nats_server() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 100_000)
        await writer.drain()

    async with something_else(talk) as endpoint:
        with pytest.raises(ServiceUnreachableError, match="is not a NATS server"):
            await connect(endpoint)


async def test_a_program_that_hangs_up_is_not_a_nats_server() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        return

    async with something_else(talk) as endpoint:
        with pytest.raises(ServiceUnreachableError, match="is not a NATS server"):
            await connect(endpoint)


async def test_a_silent_program_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thedata_cli.components.nats.connection.CONNECT_TIMEOUT_S", 0.3)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with something_else(talk) as endpoint:
        with pytest.raises(ServiceUnreachableError, match="did not answer in time"):
            await connect(endpoint)


@pytest.mark.live
async def test_a_wrong_password_is_told_apart(server: NatsServer) -> None:
    wrong = replace(server.endpoint, secrets={PASSWORD_SECRET: "guess"})
    with pytest.raises(ServiceUnreachableError, match="refused the password") as caught:
        await connect(wrong)
    assert "secrets/nats_password" in caught.value.hint
    assert "guess" not in str(caught.value)


@pytest.mark.live
async def test_a_password_that_changed_meanwhile_is_told_and_not_tried_for_ever(own_server: NatsServer) -> None:
    async with COMPONENT.connect(own_server.endpoint, "flights") as live:
        assert isinstance(live, NatsLive)
        await apply(live, project(stream()))
        waiting = asyncio.ensure_future(anext(live.tail("departures", TailStart())))
        await until_a_consumer_waits(live)
        own_server.kill()
        await asyncio.to_thread(own_server.start, password="another")
        with pytest.raises(ServiceUnreachableError, match="refused the password"):
            await waiting


@pytest.mark.live
@pytest.mark.parametrize(
    "password", ["1a", "12", "true", 'a"b', "a\\b", "a b", "$x", "#x", "'", "é", "{x}", "-", "a%b/c"]
)
async def test_any_password_works(tmp_path: Path, password: str) -> None:
    with running_nats(tmp_path, password) as server:
        async with COMPONENT.connect(server.endpoint, "flights") as live:
            assert await live.version() == COMPONENT.default_version


@pytest.mark.live
async def test_a_server_without_jetstream_is_told(server: NatsServer, tmp_path: Path) -> None:
    class Plain(NatsComponent):
        def _server_config(self, placement: Any) -> str:
            text = super()._server_config(placement)
            return text[: text.index("jetstream")] + text[text.index("authorization") :]

    with running_nats(tmp_path, component=Plain()) as plain:
        async with COMPONENT.connect(plain.endpoint, "flights") as live:
            with pytest.raises(TheDataError, match=r"(?i)jetstream.*(disabled|not enabled)"):
                await live.observe()


MAY_GO_AWAY = {
    "AuthorizationError",
    "ConnectionClosedError",
    "ConnectionDrainingError",
    "ConnectionReconnectingError",
    "DrainTimeoutError",
    "Error",
    "FetchTimeoutError",
    "FlushTimeoutError",
    "InvalidUserCredentialsError",
    "NoRespondersError",
    "NoServersError",
    "OutboundBufferLimitError",
    "ProtocolError",
    "SecureConnFailedError",
    "SecureConnRequiredError",
    "SecureConnWantedError",
    "ServerNotInPoolError",
    "ServiceUnavailableError",
    "SlowConsumerError",
    "StaleConnectionError",
    "TimeoutError",
    "TooManyStalledMsgsError",
    "UnexpectedEOF",
}

ERRORS = sorted(
    {
        error
        for module in (nats.errors, nats.js.errors)
        for error in vars(module).values()
        if inspect.isclass(error) and issubclass(error, nats.errors.Error)
    },
    key=lambda error: f"{error.__module__}.{error.__name__}",
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{error.__module__}.{error.__name__}")
def test_every_error_of_the_client_library_becomes_one_of_ours(error: type[Exception]) -> None:
    expected = ServiceUnreachableError if error.__name__ in MAY_GO_AWAY else StatementRejectedError
    with pytest.raises(expected) as caught, mapped_errors("here:4222"):
        raise _instance(error)
    assert caught.value.message


def _instance(error: type[Exception]) -> Exception:
    parameters = list(inspect.signature(error.__init__).parameters.values())[1:]
    needed = [one for one in parameters if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    if error is nats.js.errors.ConsumerSequenceMismatchError:
        # It subtracts its arguments from one another when it is shown.
        return error(1, 2, 3)
    return error(*("x" for _ in needed))
