"""Health checks over plain sockets: cheap enough to ask often, and nothing to import."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

ATTEMPT_LIMIT_S = 2.0
_REASON_BYTES = 1000


@dataclass(frozen=True)
class ProbeTarget:
    """One HTTP health check with its address."""

    host: str
    port: int
    path: str
    status: int

    @property
    def url(self) -> str:
        """For a person, who can open it."""
        return f"http://{self.host}:{self.port}{self.path}"


async def ask(target: ProbeTarget) -> str:
    """Ask once.

    Returns:
        Empty when it is healthy, else what happened instead, such as "answered 503", with the reason it gives.
    """
    try:
        async with asyncio.timeout(ATTEMPT_LIMIT_S):
            status, reason = await _answer(target)
    except TimeoutError:
        return f"gave no answer within {ATTEMPT_LIMIT_S:g} s"
    except ConnectionRefusedError:
        return "refused the connection"
    except OSError as error:
        return f"broke the connection ({error.strerror or error})"
    if status is None:
        return "answered something that is not HTTP"
    if status == target.status:
        return ""
    return f"answered {status} instead of {target.status}" + (f": {reason}" if reason else "")


def pause_before_next(elapsed_s: float) -> float:
    """Return the seconds to wait between two attempts: short beside what the start has already taken.

    Example:
        >>> [pause_before_next(elapsed_s) for elapsed_s in (0.0, 1.0, 60.0)]
        [0.004, 0.02, 0.25]
    """
    return min(max(0.004, elapsed_s * 0.02), 0.25)


async def _answer(target: ProbeTarget) -> tuple[int | None, str]:
    """Return the status of the answer, None when it is none, and for an unwanted one the first line of its body."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    try:
        request = f"GET {target.path} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        words = (await reader.readline()).split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            return None, ""
        status = int(words[1])
        return status, "" if status == target.status else await _first_line_of_body(reader)
    finally:
        writer.close()


async def _first_line_of_body(reader: asyncio.StreamReader) -> str:
    while (await reader.readline()).strip():
        pass
    body = await reader.read(_REASON_BYTES)
    lines = body.decode("utf-8", "backslashreplace").strip().splitlines()
    return lines[0] if lines else ""
