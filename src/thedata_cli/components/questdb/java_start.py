"""How QuestDB is started by a Java on this machine: command line and environment, as data."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from thedata_cli.components.questdb.login import USER

# What QuestDB itself asks of Java: it reads internals of java.base and works on memory outside the heap.
_MODULE_ACCESS = (
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.time.zone=ALL-UNNAMED",
    "--add-exports=java.base/jdk.internal.math=ALL-UNNAMED",
    "--add-exports=java.base/jdk.internal.vm=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
)

# Data lives outside the heap, so the collector with the smallest footprint does; UsePerfData writes a file per process.
_FIXED_OPTIONS = ("-XX:+UseSerialGC", "-Xms64m", "-XX:-UsePerfData", "-Dfile.encoding=UTF-8")


def server_command(java: Path, jar: Path, data_dir: Path, *, options: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the command that runs the server on a data directory.

    The jar is on the class path, not the module path: that starts a little faster, and needs no access flags by name.
    """
    return (
        str(java),
        *_FIXED_OPTIONS,
        *options,
        *_MODULE_ACCESS,
        "-cp",
        str(jar),
        "io.questdb.ServerMain",
        "-d",
        str(data_dir),
    )


def common_environment(worker_threads: int) -> Mapping[str, str]:
    """Return the settings that hold wherever the server listens; it would not start with an empty one."""
    return {
        "QDB_TELEMETRY_ENABLED": "false",
        "QDB_LINE_TCP_ENABLED": "false",
        "QDB_LINE_AUTO_CREATE_NEW_TABLES": "false",
        "QDB_LINE_AUTO_CREATE_NEW_COLUMNS": "false",
        "QDB_METRICS_ENABLED": "true",
        "QDB_HTTP_HEALTH_CHECK_AUTHENTICATION_REQUIRED": "false",
        "QDB_HTTP_PESSIMISTIC_HEALTH_CHECK_ENABLED": "false",
        "QDB_SHARED_WORKER_COUNT": str(worker_threads),
        "QDB_LOG_W_STDOUT_LEVEL": "ERROR,CRITICAL,ADVISORY",
        # Every column of every open partition takes a page of disk; the default of 16 MiB suits servers, not laptops.
        "QDB_CAIRO_WRITER_DATA_APPEND_PAGE_SIZE": "1M",
        "QDB_CAIRO_WRITER_DATA_INDEX_VALUE_APPEND_PAGE_SIZE": "1M",
    }


def listening_environment(host: str, *, http: int, postgres: int, health: int) -> Mapping[str, str]:
    """Return the settings that say where the server listens."""
    return {
        "QDB_HTTP_BIND_TO": f"{host}:{http}",
        "QDB_PG_NET_BIND_TO": f"{host}:{postgres}",
        "QDB_HTTP_MIN_NET_BIND_TO": f"{host}:{health}",
        "QDB_HTTP_USER": USER,
        "QDB_PG_USER": USER,
    }


def training_environment() -> Mapping[str, str]:
    """Return settings for a run that nobody talks to: any free port of the loopback."""
    return {
        **common_environment(1),
        **listening_environment("127.0.0.1", http=0, postgres=0, health=0),
        "QDB_HTTP_PASSWORD": secrets.token_urlsafe(),
        "QDB_PG_PASSWORD": secrets.token_urlsafe(),
    }
