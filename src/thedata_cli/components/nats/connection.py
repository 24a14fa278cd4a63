"""One connection to a NATS server: dialled when needed, every wait limited, every error one of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from thedata_cli.component_api.endpoints import Endpoint
from thedata_cli.components.nats.wire import Wire
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError, TheDataError

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5
REQUEST_TIMEOUT_S = 5.0

_START_HINT = "`thedata status` shows whether it runs; `thedata up` starts it"
_LOGIN_HINT = (
    "secrets/nats_password is not what the server was started with; `thedata down` and `thedata up` restart it"
)

_REFUSED = (
    nats.js.errors.APIError,
    nats.js.errors.NoStreamResponseError,
    nats.js.errors.BadBucketError,
    nats.js.errors.BadObjectMetaError,
    nats.js.errors.ConsumerSequenceMismatchError,
    nats.js.errors.DigestMismatchError,
    nats.js.errors.InvalidBucketNameError,
    nats.js.errors.InvalidKeyError,
    nats.js.errors.InvalidObjectNameError,
    nats.js.errors.KeyHistoryTooLargeError,
    nats.js.errors.KeyValueLimitMarkerTTLNotSupportedError,
    nats.js.errors.LinkIsABucketError,
    nats.js.errors.ObjectAlreadyExists,
    nats.errors.BadHeaderError,
    nats.errors.BadSubjectError,
    nats.errors.BadSubscriptionError,
    nats.errors.BadTimeoutError,
    nats.errors.InvalidCallbackTypeError,
    nats.errors.JsonParseError,
    nats.errors.MaxPayloadError,
    nats.errors.MsgAlreadyAckdError,
    nats.errors.NotJSMessageError,
)
"""What the server or the client library refuses, and would refuse again. Every other error of theirs, a lost
connection, a timeout or a failed login, may go away."""

_HINTS = {
    10047: "free space with `thedata stream ls`, or raise max_file_store of the component nats",
    10023: "raise max_file_store of the component nats, or lower max_bytes of the stream",
    10028: "raise max_memory_store of the component nats",
    10058: "`thedata plan` shows what differs",
    10059: "`thedata apply` creates the declared streams",
    10065: "`thedata stream ls` shows which stream has the subject",
    10074: "this server stands alone: declare `replicas: 1`",
    10014: "`thedata apply` creates the consumers",
    10077: "the stream is full and declares `discard: new`: raise its limits or purge it",
    10054: "raise max_message_size of the stream",
}


class LoginRefusedError(ServiceUnreachableError):
    """The server does not know the password: trying again does not help."""


class ApiError(StatementRejectedError):
    """The server refused a request.

    Args:
        what: The request.
        error: The `error` object of the reply.
    """

    def __init__(self, what: str, error: Mapping[str, Any]) -> None:
        self.number = int(error.get("err_code", 0))
        reason = error.get("description", "no reason given")
        super().__init__(f"NATS refused {what}: {reason} (error {self.number})", hint=_HINTS.get(self.number, ""))


@contextmanager
def mapped_errors(address: str) -> Iterator[None]:
    """Turn what the client library and sockets raise into errors of ours."""
    try:
        yield
    except TheDataError:
        raise
    except nats.js.errors.ServiceUnavailableError as error:
        raise ServiceUnreachableError(f"JetStream at {address} is not ready: {error}", hint=_START_HINT) from error
    except nats.errors.MaxPayloadError as error:
        raise StatementRejectedError(
            "the message is larger than the server takes", hint="raise max_payload of the component nats"
        ) from error
    except _REFUSED as error:
        raise StatementRejectedError(f"NATS at {address}: {error}") from error
    except nats.errors.NoRespondersError as error:
        raise ServiceUnreachableError(
            f"JetStream does not answer at {address}: it is disabled there, or still starting", hint=_START_HINT
        ) from error
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise unreachable(address, error) from error


def unreachable(address: str, error: Exception | None) -> ServiceUnreachableError:
    """Return the error for a connection that failed, and why."""
    if isinstance(error, nats.errors.AuthorizationError) or "authorization violation" in str(error).lower():
        return LoginRefusedError(f"NATS at {address} refused the password of its user", hint=_LOGIN_HINT)
    if isinstance(error, TimeoutError):
        return ServiceUnreachableError(f"NATS at {address} did not answer in time", hint=_START_HINT)
    if isinstance(error, ConnectionRefusedError):
        return ServiceUnreachableError(f"nothing listens at {address}, where NATS should be", hint=_START_HINT)
    reason = str(error).removeprefix("nats: ") if error else "the connection was lost"
    return ServiceUnreachableError(f"NATS at {address} cannot be reached: {reason}", hint=_START_HINT)


class DialledClient(Client):
    """A client that was connected once; when that connection is lost, so is it."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Connection:
    """A connection that is dialled again by the first call after it was lost.

    The library's own reconnecting is off: it holds back what is sent meanwhile, and sends it when nobody waits for it.
    """

    def __init__(self, endpoint: Endpoint, *, user: str, password: str) -> None:
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        self.address = f"{host}:{endpoint.ports['client']}"
        self.endpoint = endpoint
        self._user = user
        self._password = password
        self._client: DialledClient | None = None
        self._wire: Wire | None = None
        self._dialling = asyncio.Lock()
        self._is_over = False

    async def client(self) -> DialledClient:
        """Return the connected client.

        Raises:
            ServiceUnreachableError: Nothing listens, something else listens, or the login failed.
        """
        if self._client is not None and not self._client.is_closed:
            return self._client
        async with self._dialling:
            if self._is_over:
                raise ServiceUnreachableError(f"the connection to NATS at {self.address} was closed")
            if self._client is None or self._client.is_closed:
                self._client = await self._dial()
            return self._client

    async def _dial(self) -> DialledClient:
        client = DialledClient()
        failure: list[Exception] = []
        is_connected = False

        async def on_error(error: Exception) -> None:
            # Raising is the one way to stop the library's first attempt; later errors show up where one waits for them.
            failure.append(error)
            if not is_connected:
                raise error

        async def on_closed() -> None:
            if not client.lost.done():
                client.lost.set_result(None)

        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await client.connect(
                    f"nats://{self.address}",
                    user=self._user,
                    password=self._password,
                    name="thedata",
                    allow_reconnect=False,
                    connect_timeout=CONNECT_TIMEOUT_S,
                    error_cb=on_error,
                    closed_cb=on_closed,
                )
        except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
            reason = failure[0] if failure else error
            # A server that refuses may reset the connection while it is closed; the reason is known already.
            with suppress(nats.errors.Error, OSError):
                await client.close()
            raise self._dial_failure(reason) from error
        is_connected = True
        return client

    def _dial_failure(self, error: Exception) -> ServiceUnreachableError:
        if "INFO" in str(error) or "info message" in str(error) or isinstance(error, ValueError):
            return ServiceUnreachableError(
                f"what listens at {self.address} is not a NATS server",
                hint="another program has taken the port; `thedata status` shows the ports of this project",
            )
        return unreachable(self.address, error)

    async def wire(self) -> Wire:
        """Return the connection for bulk data; dialled apart, because the library takes too long over each message.

        Raises:
            ServiceUnreachableError: As `client`, which it dials first to know why.
        """
        if self._wire is not None and not self._wire.lost.done():
            return self._wire
        await self.client()
        async with self._dialling:
            if self._is_over:
                raise ServiceUnreachableError(f"the connection to NATS at {self.address} was closed")
            if self._wire is None or self._wire.lost.done():
                port = self.endpoint.ports["client"]
                with mapped_errors(self.address):
                    async with asyncio.timeout(CONNECT_TIMEOUT_S):
                        self._wire = await Wire.dial(self.endpoint.host, port, user=self._user, password=self._password)
            return self._wire

    async def wait_for(
        self, source: DialledClient | Wire, awaitable: Awaitable[T], timeout_s: float = REQUEST_TIMEOUT_S
    ) -> T:
        """Wait for what a connection brings, but no longer than it lives.

        Raises:
            ServiceUnreachableError: The time is over, or the connection was lost.
        """
        task = asyncio.ensure_future(awaitable)
        try:
            waiting: set[asyncio.Future[Any]] = {task, source.lost}
            await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                with mapped_errors(self.address):
                    return await task
            if source.lost.done():
                raise unreachable(self.address, None)
            if isinstance(source, Wire):
                # The server answers in time or is gone without a word; the next call finds out by dialling.
                source.close()
            raise unreachable(self.address, TimeoutError())
        finally:
            task.cancel()

    async def request(self, subject: str, payload: bytes = b"") -> bytes:
        """Send a request and return the payload of the reply.

        Raises:
            ServiceUnreachableError: No answer in time, or nobody answers this subject.
        """
        client = await self.client()
        reply = await self.wait_for(
            client, client.request(subject, payload, timeout=REQUEST_TIMEOUT_S), REQUEST_TIMEOUT_S + 1
        )
        return bytes(reply.data)

    async def call(self, subject: str, body: str = "") -> dict[str, Any]:
        """Send a request of the JetStream API and return its reply.

        Raises:
            StatementRejectedError: The server refuses it.
            ServiceUnreachableError: No answer in time, or JetStream is not there.
        """
        reply: dict[str, Any] = json.loads(await self.request(subject, body.encode()))
        if "error" in reply:
            raise ApiError(subject, reply["error"])
        return reply

    async def server_version(self) -> str:
        """Return the version that the server reported when it was dialled."""
        version = (await self.client()).connected_server_version
        return f"{version.major}.{version.minor}.{version.patch}{'-' if version.dev else ''}{version.dev}"

    async def flush(self) -> None:
        """Wait until the server has taken everything that was sent."""
        client = await self.client()
        await self.wait_for(client, client.flush(timeout=int(REQUEST_TIMEOUT_S)), REQUEST_TIMEOUT_S + 1)

    async def close(self) -> None:
        """Close it for good; what was sent before reaches the server."""
        self._is_over = True
        if self._wire is not None:
            self._wire.close()
            await asyncio.wait({self._wire.lost}, timeout=CONNECT_TIMEOUT_S)
        if self._client is not None:
            with mapped_errors(self.address):
                await self._client.close()
