"""Runs a feed: a program of the project that writes one JSON message a line, published as it writes them."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path

from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.live import CanPublish
from thedata_cli.errors import MissingDependencyError, TheDataError, UsageError
from thedata_cli.pipeline.input_lines import read_lines
from thedata_cli.pipeline.outgoing import MessageMaker
from thedata_cli.pipeline.publishing import LinePublisher, PublishCounts
from thedata_cli.project.model import FeedSettings

_STOP_LIMIT_S = 5.0
_PYTHONS = {"python", "python3"}


async def run_feed(
    name: str,
    feed: FeedSettings,
    directory: Path,
    contracts: Iterable[Contract],
    broker: CanPublish,
    *,
    subject: str,
    skip: int = 0,
    limit_s: float | None = None,
    on_progress: Callable[[PublishCounts], None] = lambda _counts: None,
) -> PublishCounts:
    """Run the feed's program to its end, or for a while, and publish every line.

    Args:
        name: Of the feed, for errors.
        feed: What to run.
        directory: Root of the project; the program runs in it.
        contracts: Of the project; those that the subject matches apply.
        broker: Stores the messages.
        subject: Of each message; may hold fields of it.
        skip: Lines to pass over at the beginning, because an earlier run published them.
        limit_s: Seconds after which the program is stopped; None lets it end by itself.
        on_progress: Told after every batch that is stored.

    Raises:
        TheDataError: The program failed; its last lines of stderr are the detail.
        InvalidMessageError: A line breaks its contract.
    """
    try:
        maker = MessageMaker(subject, contracts)
    except ValueError as error:
        raise UsageError(f"feed {name!r}: {error}", hint="mend its subject in thedata.yaml") from error
    publisher = LinePublisher(maker, broker, on_progress=on_progress)
    with tempfile.TemporaryFile() as complaints:
        process, output = await _start(name, feed, directory, complaints.fileno())
        lines = _without_first(read_lines(output), skip)
        ended = asyncio.Event()
        try:
            counts = await publisher.run(lines if limit_s is None else _for_a_while(lines, limit_s, ended))
            if limit_s is not None and not ended.is_set():
                return counts
            await process.wait()
        finally:
            os.close(output)
            await _end(process)
        if process.returncode:
            complaints.seek(0)
            raise TheDataError(
                f"feed {name!r} ended with exit code {process.returncode} after {counts.lines:,} messages",
                hint=f"run it by hand: cd {directory} && {' '.join(feed.command)}",
                detail="\n".join(complaints.read().decode(errors="replace").splitlines()[-5:]),
            )
    return counts


async def _start(
    name: str, feed: FeedSettings, directory: Path, complaints: int
) -> tuple[asyncio.subprocess.Process, int]:
    """Start the program; `python` is the Python that runs this, whatever is on PATH."""
    program, *arguments = feed.command
    output, its_stdout = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable if program in _PYTHONS else program,
            *arguments,
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=its_stdout,
            stderr=complaints,
        )
    except OSError as error:
        os.close(output)
        raise MissingDependencyError(
            f"feed {name!r}: cannot run {program}: {error.strerror}", hint="mend its command in thedata.yaml"
        ) from error
    finally:
        os.close(its_stdout)
    return process, output


async def _end(process: asyncio.subprocess.Process) -> None:
    """Make sure that the program does not outlive the feed."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _for_a_while(
    blocks: AsyncIterator[Sequence[bytes]], limit_s: float, ended: asyncio.Event
) -> AsyncIterator[Sequence[bytes]]:
    """Yield what comes within the limit; `ended` is set when the program ended before it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while (left := deadline - loop.time()) > 0:
        try:
            yield await asyncio.wait_for(anext(blocks), left)
        except TimeoutError:
            return
        except StopAsyncIteration:
            ended.set()
            return


async def _without_first(blocks: AsyncIterator[Sequence[bytes]], count: int) -> AsyncIterator[Sequence[bytes]]:
    async for lines in blocks:
        if count < len(lines):
            yield lines[count:] if count else lines
            count = 0
        else:
            count -= len(lines)
