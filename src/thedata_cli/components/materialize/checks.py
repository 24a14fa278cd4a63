"""What the doctor asks a running Materialize."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thedata_cli.component_api.findings import latency_result
from thedata_cli.components.materialize.connection import Connection
from thedata_cli.components.materialize.kinds import read_mark
from thedata_cli.components.materialize.objects import DATABASE, SCHEMA
from thedata_cli.components.materialize.secret_values import value_digest
from thedata_cli.components.materialize.sql_text import quoted
from thedata_cli.errors import StatementRejectedError
from thedata_cli.health import CheckResult, CheckStatus

_EMULATOR = "emulator"

_VIEWS = """
SELECT b.name, s.name, v.name FROM mz_catalog.mz_materialized_views v
JOIN mz_catalog.mz_schemas s ON s.id = v.schema_id JOIN mz_catalog.mz_databases b ON b.id = s.database_id
WHERE v.id LIKE 'u%' ORDER BY 1, 2, 3
"""
_NOT_HYDRATED = """
SELECT DISTINCT o.name FROM mz_internal.mz_hydration_statuses h JOIN mz_catalog.mz_objects o ON o.id = h.object_id
WHERE h.object_id LIKE 'u%' AND NOT h.hydrated ORDER BY 1
"""
_SOURCES = """
SELECT name, status, coalesce(error, '') FROM mz_internal.mz_source_statuses
WHERE id LIKE 'u%' AND status NOT IN ('running', 'starting', 'created') ORDER BY 1
"""
_SECRETS = f"""
SELECT o.name, coalesce(c.comment, '') FROM mz_catalog.mz_objects o
JOIN mz_catalog.mz_schemas s ON s.id = o.schema_id AND s.name = '{SCHEMA}'
JOIN mz_catalog.mz_databases b ON b.id = s.database_id AND b.name = '{DATABASE}'
LEFT JOIN mz_internal.mz_comments c ON c.id = o.id AND c.object_type = 'secret' AND c.object_sub_id IS NULL
WHERE o.type = 'secret' ORDER BY 1
"""


async def check_secrets(connection: Connection, project: str, secrets: Mapping[str, str]) -> Sequence[CheckResult]:
    """Return the findings about the project's secrets that are known here by the name they have in the server."""
    marks = {str(name): read_mark(str(comment)) for name, comment in await connection.rows(_SECRETS)}
    known = {name: digest for name, (owner, digest) in marks.items() if owner == project and name in secrets}
    changed = [name for name, digest in known.items() if value_digest(project, name, secrets[name]) != digest]
    return [secrets_result(len(known), changed)] if known else []


def secrets_result(count: int, changed: Sequence[str]) -> CheckResult:
    """Judge secrets whose value in the project is no longer that of the server."""
    facts: dict[str, object] = {"secrets": count, "changed": len(changed)}
    if not changed:
        return CheckResult("materialize.secrets", CheckStatus.OK, f"{count} secrets are as in secrets/", facts=facts)
    return CheckResult(
        "materialize.secrets", CheckStatus.WARNING, f"other values than in secrets/: {', '.join(changed)}",
        cause="the files changed after the last apply; sources whose CHECK uses them will refuse rows",
        fix="thedata apply", facts=facts,
    )  # fmt: skip


async def check_server(connection: Connection, wanted_version: str) -> Sequence[CheckResult]:
    """Return the findings about latency, version, views that cannot be computed, hydration and sources."""
    begin = time.perf_counter()
    await connection.rows("SELECT 1")
    latency_ms = (time.perf_counter() - begin) * 1000
    return [
        latency_result("materialize", latency_ms, fix="thedata logs materialize"),
        version_result(await connection.server_version(), wanted_version),
        *await _views(connection),
        hydration_result([str(row[0]) for row in await connection.rows(_NOT_HYDRATED)]),
        *_sources(await connection.rows(_SOURCES)),
    ]


def version_result(version: str, wanted: str) -> CheckResult:
    """Compare the running version with the wanted one, and say when it is the emulator that runs."""
    is_emulator = _EMULATOR in version
    number, wanted = version.split()[0], wanted.split()[0]
    what = f"the emulator of Materialize {number}" if is_emulator else f"Materialize {number}"
    facts: dict[str, object] = {"version": version, "wanted_version": wanted, "is_emulator": is_emulator}
    if number == wanted:
        return CheckResult("materialize.version", CheckStatus.OK, what, facts=facts)
    return CheckResult(
        "materialize.version", CheckStatus.WARNING, f"{what}, wanted is {wanted}",
        cause="another version runs than the project asks for", fix="thedata down && thedata up", facts=facts,
    )  # fmt: skip


async def _views(connection: Connection) -> Sequence[CheckResult]:
    """Ask each materialized view for a row: one that met a value it cannot compute answers with the error."""
    broken = []
    views = await connection.rows(_VIEWS)
    for name in views:
        try:
            await connection.rows(f"SELECT 1 FROM {'.'.join(quoted(part) for part in name)} LIMIT 1")
        except StatementRejectedError as error:
            broken.append(view_result(".".join(name), error.message, error.detail))
    summary = f"{len(views)} materialized views have no errors"
    return broken or [CheckResult("materialize.views", CheckStatus.OK, summary, facts={"views": len(views)})]


def view_result(name: str, reason: str, detail: str) -> CheckResult:
    """Report a view that cannot be computed."""
    return CheckResult(
        "materialize.views", CheckStatus.FAILED, f"materialized view {name} cannot be computed",
        cause=f"{reason} ({detail})" if detail else reason,
        fix="guard the expression in the view's file, such as with CASE, then `thedata apply`", facts={"view": name},
    )  # fmt: skip


def hydration_result(waiting: Sequence[str]) -> CheckResult:
    """Judge what is still being computed for the first time."""
    if not waiting:
        return CheckResult("materialize.hydration", CheckStatus.OK, "everything is hydrated", facts={"waiting": 0})
    return CheckResult(
        "materialize.hydration", CheckStatus.WARNING, f"not yet hydrated: {', '.join(waiting)}",
        cause="after a start or a change every view is computed from the beginning; reads wait for it",
        fix="thedata status", facts={"waiting": len(waiting)},
    )  # fmt: skip


def _sources(rows: Sequence[Any]) -> Iterator[CheckResult]:
    for name, status, error in rows:
        yield CheckResult(
            "materialize.sources", CheckStatus.FAILED, f"source {name} is {status}",
            cause=error or "the server does not say why", fix="thedata logs materialize", facts={"source": name},
        )  # fmt: skip
