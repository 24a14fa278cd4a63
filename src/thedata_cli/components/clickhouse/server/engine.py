"""The chDB engine of this process: it is opened once, and every request gets a connection of its own."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from thedata_cli.components.clickhouse.server.errors import ClickHouseError, from_engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chdb.state.sqlitelike import Connection as ChdbConnection

_CONFIG = """<clickhouse>
    <max_server_memory_usage>{memory_bytes}</max_server_memory_usage>
    <mark_cache_size>{cache_bytes}</mark_cache_size>
    <uncompressed_cache_size>0</uncompressed_cache_size>
    <backups><allowed_path>{backups}</allowed_path></backups>
</clickhouse>
"""
_MARK_CACHE_SHARE = 16


def quote(value: str) -> str:
    """A string literal of ClickHouse's SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """An identifier of ClickHouse's SQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def write_config(data_dir: Path, memory_bytes: int) -> Path:
    """Write the engine's configuration beside its data: by itself it would take most of the machine's memory."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "chdb-config.xml"
    backups = escape(str(data_dir.absolute() / "backups"))
    cache_bytes = memory_bytes // _MARK_CACHE_SHARE
    path.write_text(_CONFIG.format(memory_bytes=memory_bytes, cache_bytes=cache_bytes, backups=backups))
    return path


class Connection:
    """One connection: its settings, current database and temporary tables are its own. Calls block."""

    def __init__(self, raw: ChdbConnection) -> None:
        """Wrap what chDB handed out."""
        self._raw = raw

    def run(
        self, sql: bytes | str, output_format: str = "TabSeparated", parameters: Mapping[str, str] | None = None
    ) -> Any:
        """Run one statement to its end and return chDB's result with its counts."""
        try:
            return self._raw.query(sql, output_format, dict(parameters or {}))
        except RuntimeError as error:
            raise from_engine(error) from error

    def text(self, sql: str) -> str:
        """The single value that `sql` yields, as tab-separated text."""
        return str(self.run(sql).bytes().decode().rstrip("\n"))

    def query_class(self, sql: bytes) -> str:
        """READ_ONLY, MUTATING, CONTROL or UNKNOWN, by the engine's own parser."""
        answer = self._raw._conn.classify_query(sql.decode("utf-8", "replace"))
        return str(answer["query_class"].name)

    def close(self) -> None:
        """Give the connection back; its temporary tables go with it."""
        self._raw.close()


class Engine:
    """The data directory, open; no other process can open it meanwhile."""

    def __init__(self, data_dir: Path, config: Path) -> None:
        """Open `data_dir`; chDB keeps running while the connection made here lives."""
        # chDB imports pyarrow when it is there: a quarter of a second and 45 MB for what this server never calls.
        sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]
        self._target = f"{data_dir}?config-file={config}"
        self._control_lock = threading.Lock()
        self._control = self.connect()
        self.version = self._control.text("SELECT version()")
        self.timezone = self._control.text("SELECT timezone()")

    def connect(self) -> Connection:
        """A new connection with the engine's default settings."""
        import chdb

        try:
            return Connection(chdb.connect(self._target))
        except RuntimeError as error:
            raise from_engine(error) from error

    def create_database(self, name: str) -> None:
        """Make sure that the database exists."""
        with self._control_lock:
            self._control.run(f"CREATE DATABASE IF NOT EXISTS {quote_name(name)}")

    def cancel(self, marker: str) -> bool:
        """Ask the query that carries `marker` in its log_comment to stop; it does so at its next block.

        Returns:
            Whether there was such a query.
        """
        with self._control_lock:
            try:
                sql = f"KILL QUERY WHERE endsWith(Settings['log_comment'], {quote(marker)}) ASYNC"
                return bool(self._control.run(sql).bytes())
            except ClickHouseError:
                # The query ended on its own between the look and the kill.
                return False

    def is_read_only(self, sql: bytes) -> bool:
        """Whether the engine's own parser says that `sql` changes nothing but its session."""
        if sql.split(None, 1)[0].upper() in (b"SET", b"USE"):
            return True
        with self._control_lock:
            return self._control.query_class(sql) not in ("MUTATING", "CONTROL")

    def close(self) -> None:
        """Close the engine; data is safe without it too."""
        self._control.close()
