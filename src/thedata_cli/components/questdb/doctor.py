"""What the doctor asks a running QuestDB."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from thedata_cli.component_api.findings import latency_result
from thedata_cli.components.questdb.connection import Connection
from thedata_cli.health import CheckResult, CheckStatus

_LAG_TRANSACTIONS = 100

_WAL = "SELECT name, suspended, sequencerTxn - writerTxn, errorTag, errorMessage FROM wal_tables()"
_DISK = "SELECT count(), sum(diskSize), sum(rowCount) FROM table_storage()"
_VIEWS = "SELECT view_name, view_status, invalidation_reason, base_table_name FROM materialized_views()"


async def check_server(connection: Connection, wanted_version: str) -> Sequence[CheckResult]:
    """Return the findings about latency, version, suspended or lagging tables, materialized views and disk use."""
    begin = time.perf_counter()
    await connection.rows("SELECT 1")
    latency_ms = (time.perf_counter() - begin) * 1000
    return [
        latency_result("questdb", latency_ms, fix="thedata query questdb 'SELECT * FROM query_activity()'"),
        _version(await connection.server_version(), wanted_version),
        *_wal(await connection.rows(_WAL)),
        *_views(await connection.rows(_VIEWS)),
        _disk(*(await connection.rows(_DISK))[0]),
    ]


def _version(running: str, wanted: str) -> CheckResult:
    facts: dict[str, object] = {"running": running, "wanted": wanted}
    if running == wanted:
        return CheckResult("questdb.version", CheckStatus.OK, f"version {running}", facts=facts)
    return CheckResult(
        "questdb.version",
        CheckStatus.WARNING,
        f"version {running} runs, {wanted} is wanted",
        cause="the server was started before the version changed, or is not ours",
        fix="thedata down && thedata up",
        facts=facts,
    )


def _wal(rows: Sequence[Any]) -> Iterator[CheckResult]:
    suspended = [row for row in rows if row[1]]
    lagging = [row for row in rows if not row[1] and row[2] > _LAG_TRANSACTIONS]
    for name, _, lag, tag, message in suspended:
        yield CheckResult(
            "questdb.wal",
            CheckStatus.FAILED,
            f"table {name} is suspended with {lag} transactions not applied",
            cause=" ".join(filter(None, (tag, message))) or "a transaction could not be applied",
            fix=f"thedata query questdb 'ALTER TABLE \"{name}\" RESUME WAL'",
            facts={"table": name, "lag_transactions": lag},
        )
    for name, _, lag, *_ in lagging:
        yield CheckResult(
            "questdb.wal",
            CheckStatus.WARNING,
            f"table {name} lags {lag} transactions",
            cause="rows arrive faster than they are applied; small batches and rows out of order make it slower",
            fix="raise `batch.max_messages` of the pipeline",
            facts={"table": name, "lag_transactions": lag},
        )
    if not suspended and not lagging:
        most = max((row[2] for row in rows), default=0)
        summary = f"{len(rows)} tables with WAL, none suspended, at most {most} transactions behind"
        yield CheckResult("questdb.wal", CheckStatus.OK, summary, facts={"tables": len(rows), "lag_transactions": most})


def _disk(tables: int, size: int | None, rows: int | None) -> CheckResult:
    """Say what the tables take; whether the disk is full is a question to the machine."""
    facts: dict[str, object] = {"tables": tables, "disk_bytes": size or 0, "rows": rows or 0}
    summary = f"{tables} tables take {(size or 0) / 1e6:,.1f} MB for {rows or 0:,} rows"
    return CheckResult("questdb.disk", CheckStatus.OK, summary, facts=facts)


def _views(rows: Sequence[Any]) -> Iterator[CheckResult]:
    invalid = [row for row in rows if row[1] == "invalid"]
    for name, _, reason, base in invalid:
        yield CheckResult(
            "questdb.materialized_view",
            CheckStatus.FAILED,
            f"materialized view {name} is invalid and no longer follows {base}",
            cause=reason or "its refresh failed",
            fix=f"thedata query questdb 'REFRESH MATERIALIZED VIEW \"{name}\" FULL'",
            facts={"view": name, "base": base},
        )
    if rows and not invalid:
        yield CheckResult("questdb.materialized_view", CheckStatus.OK, f"{len(rows)} materialized views are valid")
