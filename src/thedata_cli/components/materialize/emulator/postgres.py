"""The PostgreSQL behind the emulator: made, started and stopped here, reachable through one private socket only."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import psutil

from thedata_cli.components.materialize.emulator.errors import CANNOT_CONNECT, EmulatorError
from thedata_cli.components.materialize.emulator.postgres_programs import account_instead_of_root, programs

SYSTEM_USER = "mz_system"
SESSION_USER = "materialize"
DATABASE = "materialize"
_PORT = 5432
_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 10.0
_POLL_S = 0.02
_SOCKET_PREFIX = "mz-emulator-"
_PR_SET_PDEATHSIG = 1
# Derived data can be made again, so only what clients were promised is worth waiting for the disk: see `ingest.py`.
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "300",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "work_mem": "64MB",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "client_connection_check_interval": "1s",
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
}


class Postgres:
    """The server of one data directory. `start`, then connect through `socket_dir`, then `stop`."""

    def __init__(self, data_dir: Path) -> None:
        self._home = data_dir.absolute()
        self._cluster = self._home / "postgres"
        self._account = account_instead_of_root()
        self._process: asyncio.subprocess.Process | None = None
        self._socket_dir: Path | None = None

    @property
    def socket_dir(self) -> Path:
        """The directory of the socket; there is one once the server was started."""
        if self._socket_dir is None:
            raise EmulatorError(CANNOT_CONNECT, "PostgreSQL was not started")
        return self._socket_dir

    @property
    def socket_path(self) -> Path:
        """The socket that the server listens on."""
        return self.socket_dir / f".s.PGSQL.{_PORT}"

    def conninfo(self, user: str = SYSTEM_USER, database: str = DATABASE) -> str:
        """Return libpq's words for a connection to it."""
        return f"host={self.socket_dir} port={_PORT} user={user} dbname={database}"

    async def start(self) -> None:
        """Start it, after a left-over of a killed emulator has been stopped.

        Raises:
            EmulatorError: It does not start.
        """
        self._home.mkdir(parents=True, exist_ok=True)
        await self._stop_left_over()
        if not (self._cluster / "PG_VERSION").exists():
            await self._make_cluster()
        self._socket_dir = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX))
        (self._home / "socket-dir").write_text(str(self._socket_dir))
        self._give_away(self.socket_dir)
        settings = {**_SETTINGS, "unix_socket_directories": str(self.socket_dir), "port": str(_PORT)}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._home / "postgres.log").open("ab") as log:
            self._process = await self._spawn("postgres", "-D", self._cluster_argument, *flags, log=log)
        await self._wait_until_ready()

    async def stop(self) -> None:
        """Stop it: clients are cut off, what was committed is on disk."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
            try:
                await asyncio.wait_for(self._process.wait(), _STOP_LIMIT_S)
            except TimeoutError:
                self._process.send_signal(signal.SIGQUIT)
                await self._process.wait()
        if self._socket_dir is not None:
            _remove_socket_dir(self._socket_dir)

    async def exited(self) -> int:
        """Wait until the server ends by itself, and return its code."""
        if self._process is None:
            raise EmulatorError(CANNOT_CONNECT, "PostgreSQL was not started")
        return await self._process.wait()

    @property
    def _cluster_argument(self) -> str:
        # The other account may not be allowed through the parents of the directory; where it works, it always is.
        return "/proc/self/cwd" if self._account and sys.platform == "linux" else str(self._cluster)

    def _give_away(self, path: Path) -> None:
        if self._account:
            os.chown(path, self._account.uid, self._account.gid)

    async def _make_cluster(self) -> None:
        unfinished = self._home / "postgres.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._give_away(unfinished)
        self._cluster, finished = unfinished, self._cluster
        arguments = ["--auth=trust", f"--username={SYSTEM_USER}", "--encoding=UTF8", "--no-sync", "--no-instructions"]
        arguments += ["--locale-provider=builtin", "--locale=C", "--builtin-locale=C.UTF-8"]
        with (self._home / "postgres.log").open("ab") as log:
            process = await self._spawn("initdb", "-D", self._cluster_argument, *arguments, log=log)
            code = await process.wait()
        self._cluster = finished
        if code != 0:
            raise self._start_failure(f"initdb ended with code {code}")
        unfinished.rename(finished)

    async def _spawn(self, program: str, *arguments: str, log: object) -> asyncio.subprocess.Process:
        account = self._account
        return await asyncio.create_subprocess_exec(
            str(programs(account) / program),
            *arguments,
            cwd=self._cluster,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,  # type: ignore[arg-type]
            stderr=log,  # type: ignore[arg-type]
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=_end_with_parent,
            start_new_session=True,
        )

    async def _wait_until_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + _START_LIMIT_S
        while asyncio.get_running_loop().time() < deadline:
            if self._process is None or self._process.returncode is not None:
                raise self._start_failure("PostgreSQL ended while it started")
            if _postmaster_line(self._cluster, 7) == "ready":
                return
            await asyncio.sleep(_POLL_S)
        raise self._start_failure(f"PostgreSQL was not ready after {_START_LIMIT_S:.0f} s")

    def _start_failure(self, what: str) -> EmulatorError:
        lines = (self._home / "postgres.log").read_text(errors="replace").strip().splitlines()
        return EmulatorError(CANNOT_CONNECT, f"{what}: {lines[-1] if lines else 'it said nothing'}")

    async def _stop_left_over(self) -> None:
        process = _postgres_process(_postmaster_line(self._cluster, 0), self._cluster)
        if process is not None:
            await _end(process)
        with contextlib.suppress(OSError):
            _remove_socket_dir(Path((self._home / "socket-dir").read_text()))
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)


def _remove_socket_dir(directory: Path) -> None:
    """Remove a directory that was made here for a socket: its two files, and it only when nothing else is in it."""
    if directory.name.startswith(_SOCKET_PREFIX):
        for name in (f".s.PGSQL.{_PORT}", f".s.PGSQL.{_PORT}.lock"):
            (directory / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            directory.rmdir()


async def _end(process: psutil.Process) -> None:
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        try:
            process.send_signal(number)
            await asyncio.to_thread(process.wait, _STOP_LIMIT_S / 2)
        except psutil.TimeoutExpired:
            continue
        except psutil.NoSuchProcess:
            return
        return


def _postmaster_line(cluster: Path, number: int) -> str:
    """Return one line of the file in which a running server tells its process id, socket and state."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except OSError:
        return ""
    return lines[number].strip() if len(lines) > number else ""


def _postgres_process(pid: str, cluster: Path) -> psutil.Process | None:
    """Return the process if it is PostgreSQL and works in `cluster`; process ids are used again."""
    try:
        process = psutil.Process(int(pid))
        return process if process.name() == "postgres" and Path(process.cwd()) == cluster.resolve() else None
    except (ValueError, psutil.Error):
        return None


def _end_with_parent() -> None:
    """Ask Linux to stop the server when the emulator is killed; elsewhere the next start does it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
