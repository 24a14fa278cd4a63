"""What goes wrong between us and a server: each cause told apart, none as a traceback."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

import httpcore
import pytest
from tests.components.clickhouse.server_process import ClickHouseServer
from tests.components.clickhouse.stack import connected

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.components.clickhouse.component import PASSWORD, ClickHouseComponent
from thedata_cli.components.clickhouse.connection import unreachable
from thedata_cli.errors import ServiceUnreachableError

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def enter(port: int) -> None:
    component = ClickHouseComponent()
    async with component.connect(Endpoint("127.0.0.1", {"http": port}, {PASSWORD: "x"}), "flights"):
        pass


async def message_from(handler: Handler) -> str:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    try:
        with pytest.raises(ServiceUnreachableError) as raised:
            await enter(server.sockets[0].getsockname()[1])
    finally:
        server.close()
    return raised.value.message


@pytest.mark.live
async def test_a_wrong_password_is_told_as_such(clickhouse: ClickHouseServer) -> None:
    with pytest.raises(ServiceUnreachableError, match="refuses the user or password") as raised:
        async with connected(clickhouse, database="default", password="wrong"):
            pass
    assert "secrets/clickhouse_password" in raised.value.hint
    assert "wrong" not in f"{raised.value.message} {raised.value.hint} {raised.value.detail}"


async def test_nobody_listens(unused_tcp_port: int) -> None:
    with pytest.raises(ServiceUnreachableError, match=rf"127.0.0.1:{unused_tcp_port} does not answer") as raised:
        await enter(unused_tcp_port)
    assert raised.value.hint == "start it with `thedata up`"


async def test_another_http_server_has_the_port() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        writer.close()

    message = await message_from(answer)
    assert message.endswith("is not ClickHouse: it answers HTTP status 404")


async def test_a_program_without_http_has_the_port() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO {}\r\n")
        await writer.drain()
        await reader.read(1)
        writer.close()

    message = await message_from(answer)
    assert "is not ClickHouse: it does not speak HTTP" in message


def test_every_error_of_the_http_library_becomes_ours() -> None:
    errors = [error for _, error in inspect.getmembers(httpcore, inspect.isclass) if issubclass(error, Exception)]
    assert len(errors) > 10
    for error in errors:
        with pytest.raises(ServiceUnreachableError), unreachable("127.0.0.1:8123"):
            raise error("why")
