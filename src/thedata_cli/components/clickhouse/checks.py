"""What the doctor finds out about a running ClickHouse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from thedata_cli.components.clickhouse.connection import Connection
from thedata_cli.components.clickhouse.sql import literal
from thedata_cli.health import CheckResult, CheckStatus

_SLOW_MS = 500
_LOW_DISK_SHARE, _FULL_DISK_SHARE = 0.10, 0.02
_MANY_PARTS = 1000
"""A third of `parts_to_throw_insert`, at which inserts are refused."""


async def check(connection: Connection, wanted_version: str) -> Sequence[CheckResult]:
    """Return the findings: latency, version, parts, mutations, disks."""
    started = time.perf_counter()
    # The engine that chDB embeds shows its `default` database as an overlay; a server never does.
    rows = await connection.rows(
        "SELECT version(), (SELECT engine FROM system.databases WHERE name = 'default') = 'Overlay'"
    )
    latency_ms = (time.perf_counter() - started) * 1000
    database = literal(connection.database)
    parts, mutations, detached, disks = await asyncio.gather(
        connection.rows(
            "SELECT table, partition, count() AS parts FROM system.parts "
            f"WHERE active AND database = {database} GROUP BY table, partition ORDER BY parts DESC LIMIT 1"
        ),
        connection.rows(
            "SELECT table, mutation_id, latest_fail_reason FROM system.mutations "
            f"WHERE NOT is_done AND latest_fail_reason != '' AND database = {database}"
        ),
        connection.rows(
            f"SELECT table, count(), any(reason) FROM system.detached_parts WHERE database = {database} GROUP BY table"
        ),
        connection.rows("SELECT name, path, free_space, total_space FROM system.disks WHERE total_space > 0"),
    )
    return [
        latency_result(connection.address, latency_ms),
        version_result(str(rows[0][0]), wanted_version, is_chdb=bool(rows[0][1])),
        parts_result(parts),
        mutations_result(mutations),
        detached_result(detached),
        *(disk_result(*disk) for disk in disks),
    ]


def latency_result(address: str, latency_ms: float) -> CheckResult:
    """Judge the time of one small query."""
    summary = f"answers at {address} in {latency_ms:.0f} ms"
    facts: dict[str, object] = {"latency_ms": round(latency_ms, 1), "address": address}
    if latency_ms < _SLOW_MS:
        return CheckResult("clickhouse.latency", CheckStatus.OK, summary, facts=facts)
    return CheckResult(
        "clickhouse.latency", CheckStatus.WARNING, summary,
        cause="a query that reads nothing should take a few milliseconds; the machine or the engine is busy",
        fix='thedata query clickhouse "SELECT query, elapsed FROM system.processes ORDER BY elapsed DESC"', facts=facts,
    )  # fmt: skip


def version_result(version: str, wanted: str, *, is_chdb: bool) -> CheckResult:
    """Compare the running version with the wanted one; patch levels may differ."""
    what = f"chDB, engine {version}" if is_chdb else f"server {version}"
    facts: dict[str, object] = {"version": version, "wanted_version": wanted, "is_chdb": is_chdb}
    if version.split(".")[:2] == wanted.split(".")[:2]:
        return CheckResult("clickhouse.version", CheckStatus.OK, what, facts=facts)
    return CheckResult(
        "clickhouse.version", CheckStatus.WARNING, f"{what}, wanted is {wanted}",
        cause="another version runs than the project asks for", fix="thedata up", facts=facts,
    )  # fmt: skip


def parts_result(rows: Sequence[Sequence[Any]]) -> CheckResult:
    """Judge the partition with the most parts."""
    if not rows:
        return CheckResult("clickhouse.parts", CheckStatus.OK, "no parts yet", facts={"parts": 0})
    table, partition, parts = rows[0]
    summary = f"at most {parts} part{'s' if parts != 1 else ''} in a partition ({table}, {partition})"
    facts: dict[str, object] = {"parts": parts, "table": table, "partition": partition}
    if parts < _MANY_PARTS:
        return CheckResult("clickhouse.parts", CheckStatus.OK, summary, facts=facts)
    return CheckResult(
        "clickhouse.parts", CheckStatus.WARNING, summary,
        cause="inserts come faster than parts are merged; at 3000 the server refuses them",
        fix="write larger batches: raise `batch.max_messages` and `batch.max_wait` of the pipeline", facts=facts,
    )  # fmt: skip


def mutations_result(rows: Sequence[Sequence[Any]]) -> CheckResult:
    """Judge changes of data that fail again and again."""
    if not rows:
        return CheckResult("clickhouse.mutations", CheckStatus.OK, "no failed mutations", facts={"failed": 0})
    table, mutation, reason = rows[0]
    return CheckResult(
        "clickhouse.mutations", CheckStatus.FAILED,
        f"{len(rows)} failed mutation{'s' if len(rows) != 1 else ''}, first {mutation} of {table}", cause=str(reason),
        fix=f"thedata query clickhouse \"KILL MUTATION WHERE mutation_id = '{mutation}'\"",
        facts={"failed": len(rows), "tables": sorted({row[0] for row in rows})},
    )  # fmt: skip


def detached_result(rows: Sequence[Sequence[Any]]) -> CheckResult:
    """Judge parts that the server has put aside, such as broken ones after a power cut."""
    if not rows:
        return CheckResult("clickhouse.detached_parts", CheckStatus.OK, "no detached parts", facts={"parts": 0})
    count = sum(row[1] for row in rows)
    return CheckResult(
        "clickhouse.detached_parts", CheckStatus.WARNING,
        f"{count} detached part{'s' if count != 1 else ''} in {', '.join(sorted(row[0] for row in rows))}",
        cause=f"the server put them aside: {rows[0][2] or 'detached by a statement'}",
        fix='thedata query clickhouse "SELECT table, name, reason FROM system.detached_parts"', facts={"parts": count},
    )  # fmt: skip


def disk_result(name: str, path: str, free_bytes: int, total_bytes: int) -> CheckResult:
    """Judge the free space of one disk."""
    share = free_bytes / total_bytes
    summary = f"disk {name}: {free_bytes / 1e9:,.1f} GB of {total_bytes / 1e9:,.1f} GB free"
    facts: dict[str, object] = {"free_bytes": free_bytes, "total_bytes": total_bytes, "path": path}
    if share >= _LOW_DISK_SHARE:
        return CheckResult(f"clickhouse.disk.{name}", CheckStatus.OK, summary, facts=facts)
    status = CheckStatus.FAILED if share < _FULL_DISK_SHARE else CheckStatus.WARNING
    return CheckResult(
        f"clickhouse.disk.{name}", status, summary,
        cause="merges need free space too; without it inserts fail",
        fix=f"free space at {path}, or set `ttl` on large tables", facts=facts,
    )  # fmt: skip
