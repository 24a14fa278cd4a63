"""Where the embedded target keeps things, and the errors of file systems in a user's words.

Everything lives under `.thedata/` of the project but the supervisor's socket: the path of a socket may have about 100
bytes, and a project may lie deep.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from thedata_cli.errors import TheDataError

SOCKET_PATH_LIMIT = 100
"""Bytes; 104 with the final zero on macOS, 108 on Linux."""

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space, then run the command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, then run the command again"),
    errno.EROFS: ("the file system is read-only", "move the project to a directory that you can write to"),
    errno.EACCES: ("permission denied", "make the project directory writable for you, or move the project"),
    errno.EPERM: ("permission denied", "make the project directory writable for you, or move the project"),
    errno.ENOTDIR: ("a file stands where a directory is needed", "move that file away"),
    errno.EEXIST: ("a file stands where a directory is needed", "move that file away"),
}


@dataclass(frozen=True)
class Layout:
    """Paths of one project on the embedded target."""

    project_dir: Path

    @property
    def root(self) -> Path:
        """All of the target's files."""
        return self.project_dir / ".thedata"

    @property
    def state_dir(self) -> Path:
        """What the target remembers: ports, processes, locks."""
        return self.root / "embedded"

    @property
    def log_dir(self) -> Path:
        """One `NAME.log` per service, and `supervisor.log`."""
        return self.root / "logs"

    @property
    def ports_file(self) -> Path:
        """Service → port name → number."""
        return self.state_dir / "ports.json"

    @property
    def record_file(self) -> Path:
        """What the supervisor recorded; gone when it ended in good order."""
        return self.state_dir / "supervisor.json"

    @property
    def command_lock(self) -> Path:
        """Held by the command that changes the stack."""
        return self.state_dir / "command.lock"

    @property
    def key(self) -> str:
        """Names the project on this machine: the same for every way to write its path."""
        return hashlib.blake2b(os.fsencode(self.project_dir.resolve()), digest_size=8).hexdigest()

    def data_dir(self, service: str) -> Path:
        """What a service keeps over `down` and reboots."""
        return self.root / "data" / service

    def config_dir(self, service: str) -> Path:
        """A service's rendered files."""
        return self.root / "config" / service

    def log_file(self, service: str) -> Path:
        """What a service writes to stdout and stderr."""
        return self.log_dir / f"{service}.log"

    def create(self) -> None:
        """Make the directories that only the user may enter.

        Raises:
            TheDataError: The project directory cannot be written to.
        """
        with explained_file_errors(self.root):
            self.root.mkdir(mode=0o700, exist_ok=True)
            for directory in (self.state_dir, self.log_dir):
                directory.mkdir(mode=0o700, exist_ok=True)
                if not os.access(directory, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))


@contextmanager
def explained_file_errors(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one that says what is wrong with `path` and what mends it."""
    try:
        yield
    except OSError as error:
        reason, hint = _REASONS.get(error.errno or 0, (error.strerror or str(error), ""))
        raise TheDataError(f"cannot write {error.filename or path}: {reason}", hint=hint) from error


def private_runtime_dir(name: str) -> Path:
    """Return a directory with a short path that only this user can enter; made when it is not there.

    Args:
        name: The last part of its path, such as a project's key.

    Raises:
        TheDataError: Somebody else owns the directory, or no place is short enough.
    """
    for base in _runtime_bases():
        directory = base / name
        if len(os.fsencode(directory)) + 16 <= SOCKET_PATH_LIMIT:
            with explained_file_errors(directory):
                for part in (base, directory):
                    part.mkdir(mode=0o700, exist_ok=True)
                    _refuse_foreign(part)
            return directory
    raise TheDataError("no temporary directory has a short enough path for a socket", hint="set TMPDIR to a short path")


def write_text(path: Path, text: str) -> None:
    """Replace a file as a whole, readable only for the user; a file that has the text already stays as it is."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.touch(mode=0o600)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _runtime_bases() -> Iterator[Path]:
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    if session and os.access(session, os.W_OK):
        yield Path(session) / "thedata"
    for directory in (tempfile.gettempdir(), "/tmp"):
        yield Path(directory) / f"thedata-{os.getuid()}"


def _refuse_foreign(directory: Path) -> None:
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise TheDataError(
            f"{directory} is not a private directory of yours: another user of this machine may have put it there",
            hint="remove it, or set TMPDIR to a directory of your own",
        )
