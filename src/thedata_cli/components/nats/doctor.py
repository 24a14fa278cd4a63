"""What the doctor finds out about a running NATS server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thedata_cli.components.nats.connection import Connection
from thedata_cli.health import CheckResult, CheckStatus

Info = Mapping[str, Any]
"""The info of a stream or consumer, as the API gives it."""

_NEAR = 0.8


async def check_server(
    connection: Connection, settings: Mapping[str, Any], listing: Sequence[tuple[Info, Sequence[Info]]]
) -> Sequence[CheckResult]:
    """Examine a running server.

    Args:
        connection: An open connection.
        settings: `version`, `max_file_store` and `max_memory_store` that the project wants.
        listing: Every stream with its consumers.
    """
    started = time.perf_counter()
    await connection.flush()
    latency_ms = (time.perf_counter() - started) * 1000
    account = await connection.call("$JS.API.INFO")
    return [
        CheckResult(
            "nats.connection",
            CheckStatus.OK,
            f"answers at {connection.address} in {latency_ms:.1f} ms",
            facts={"latency_ms": round(latency_ms, 3)},
        ),
        version_finding(await connection.server_version(), settings["version"]),
        *storage_findings(account, settings),
        *(finding for stream, _ in listing for finding in stream_findings(stream)),
        *(finding for _, consumers in listing for consumer in consumers for finding in consumer_findings(consumer)),
    ]


def version_finding(version: str, wanted: str) -> CheckResult:
    """Compare the running version with the wanted one."""
    facts: dict[str, object] = {"version": version, "wanted_version": wanted}
    if version == wanted:
        return CheckResult("nats.version", CheckStatus.OK, f"nats-server {version}", facts=facts)
    return CheckResult(
        "nats.version",
        CheckStatus.WARNING,
        f"nats-server {version} runs, the project wants {wanted}",
        cause="the running server is not the version that thedata was tested with, or that the project pins",
        fix=f"pin it with `version: {version}` under `components: nats:`, or install {wanted} and run `thedata down`, "
        "`thedata up`",
        facts=facts,
    )


def storage_findings(account: Info, settings: Mapping[str, Any]) -> Iterator[CheckResult]:
    """Compare what the streams take together with what the server may take."""
    for kind, used_key, limit_key in (
        ("file", "storage", "max_file_store"),
        ("memory", "memory", "max_memory_store"),
    ):
        used, limit = account[used_key], settings[limit_key]
        facts: dict[str, object] = {"used_bytes": used, "limit_bytes": limit}
        summary = f"{kind} streams take {used / 1e6:.1f} MB of {limit / 1e6:.0f} MB"
        if used < _NEAR * limit:
            yield CheckResult(f"nats.storage.{kind}", CheckStatus.OK, summary, facts=facts)
        else:
            yield CheckResult(
                f"nats.storage.{kind}",
                CheckStatus.FAILED if used >= 0.98 * limit else CheckStatus.WARNING,
                summary,
                cause="at the limit, the server refuses every new message",
                fix=f"raise {limit_key} under `components: nats:`, or give the streams max_age or max_bytes",
                facts=facts,
            )


def stream_findings(info: Info) -> Iterator[CheckResult]:
    """Say which limits of a stream are near. A stream that drops its oldest messages is meant to stand at its limit."""
    config, state, name = info["config"], info["state"], info["config"]["name"]
    if config["discard"] != "new":
        return
    for key, held, word in (("max_msgs", "messages", "max_messages"), ("max_bytes", "bytes", "max_bytes")):
        limit, used = config[key], state[held]
        if limit > 0 and used >= _NEAR * limit:
            yield CheckResult(
                f"nats.stream.{name}",
                CheckStatus.FAILED if used >= 0.98 * limit else CheckStatus.WARNING,
                f"the stream {name} holds {used} of {limit} {held}",
                cause="it declares `discard: new`, so at its limit it refuses new messages",
                fix=f"raise {word} in streams/{name}.yaml and run `thedata apply`",
                facts={"used": used, "limit": limit, "limit_name": word},
            )


def consumer_findings(info: Info) -> Iterator[CheckResult]:
    """Say which consumers stand still: all they may have unacknowledged is out, and more waits."""
    name = f"{info['stream_name']}/{info['name']}"
    limit, out, waiting = info["config"].get("max_ack_pending", 0), info["num_ack_pending"], info["num_pending"]
    facts: dict[str, object] = {"unacknowledged": out, "lag": waiting, "redelivered": info["num_redelivered"]}
    if limit > 0 and out >= limit and waiting:
        yield CheckResult(
            f"nats.consumer.{name}",
            CheckStatus.WARNING,
            f"the consumer {name} stands still: {out} messages are unacknowledged, {waiting} wait",
            cause=f"its reader does not acknowledge, and max_ack_pending is {limit}",
            fix="look at the reader: `thedata logs worker` for the consumer of a pipeline",
            facts=facts,
        )
    elif info.get("paused"):
        yield CheckResult(
            f"nats.consumer.{name}",
            CheckStatus.WARNING,
            f"the consumer {name} is paused, {waiting} messages wait",
            cause="somebody paused it",
            fix=f"resume it with `nats consumer resume {info['stream_name']} {info['name']}`",
            facts=facts,
        )
