"""Waiting for the write-ahead log: QuestDB confirms a write first, and applies it a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from thedata_cli.components.questdb.connection import Connection
from thedata_cli.components.questdb.sql_text import identifier, literal
from thedata_cli.errors import ServiceUnreachableError, StatementRejectedError

SETTLE_LIMIT_S = 60
_LONGEST_WAIT_S = 0.1


async def moments() -> AsyncIterator[float]:
    """Yield the seconds gone by, at growing intervals, until the limit."""
    loop = asyncio.get_running_loop()
    begin, wait_s = loop.time(), 0.001
    while (waited_s := loop.time() - begin) < SETTLE_LIMIT_S:
        yield waited_s
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


async def wait_until_applied(connection: Connection, table: str) -> None:
    """Wait until the transactions that the table has now are applied; at once for a table without WAL.

    Raises:
        StatementRejectedError: The server suspended the table; its reason.
        ServiceUnreachableError: It takes longer than the limit.
    """
    target = None
    async for _ in moments():
        lag = await wal_state(connection, table)
        if lag is None:
            return
        written, applied = lag
        target = written if target is None else target
        if applied >= target:
            return
    raise ServiceUnreachableError(
        f"QuestDB has not applied all that was written to {table} within {SETTLE_LIMIT_S} s",
        hint="`thedata doctor` shows how far the table lags; run the command again when it has caught up",
    )


async def resume(connection: Connection, table: str) -> None:
    """Let a suspended table go on: what suspended it, such as a full disk, may be over. Nothing written is skipped.

    Raises:
        StatementRejectedError: The server suspended it again; its reason.
        ServiceUnreachableError: It takes longer than the limit.
    """
    try:
        await wal_state(connection, table)
    except StatementRejectedError:
        await connection.execute(f"ALTER TABLE {identifier(table)} RESUME WAL")
        await wait_until_applied(connection, table)


async def wal_state(connection: Connection, table: str) -> tuple[int, int] | None:
    """Return the last written and the last applied transaction; None for a table without WAL.

    Raises:
        StatementRejectedError: The server suspended the table; its reason.
    """
    rows = await connection.rows(
        f"SELECT sequencerTxn, writerTxn, suspended, errorMessage FROM wal_tables() WHERE name = {literal(table)}"
    )
    if not rows:
        return None
    written, applied, is_suspended, reason = rows[0]
    if is_suspended:
        raise StatementRejectedError(
            f"QuestDB has suspended the table {table}: {reason or 'it gives no reason'}",
            hint=f"free disk space or mend the cause, then `ALTER TABLE {identifier(table)} RESUME WAL`",
        )
    return written, applied
