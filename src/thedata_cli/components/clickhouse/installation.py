"""chDB on this machine: is it installed, and in which version; without importing it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys

from thedata_cli.component_api.embedded import Installation
from thedata_cli.errors import MissingDependencyError
from thedata_cli.health import CheckResult, CheckStatus

_ENGINE_PACKAGE = "chdb-core"
_SERVER_PACKAGES = ("chdb", "uvicorn", "httptools", "lz4", "zstandard")
_ELSEWHERE = "run ClickHouse with the compose target, or on another machine"


def find_installation(pinned: str | None, default_version: str) -> Installation:
    """Return the engine that will run.

    Args:
        pinned: Version that the project pins; None for the default.
        default_version: The version that thedata was tested with.

    Raises:
        MissingDependencyError: It is missing, there is none for this platform, or it is another version.
    """
    missing = missing_packages()
    if missing:
        raise MissingDependencyError(
            f"the embedded ClickHouse needs the Python package{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            hint=platform_gap() or f"install it with `{install_command('')}`",
        )
    series = engine_series()
    if pinned and pinned.split(".")[:2] != series.split("."):
        raise MissingDependencyError(
            f"the project pins clickhouse {pinned}, installed is the engine {series} of {_ENGINE_PACKAGE}",
            hint=f"install it with `{install_command(pinned)}`, or change `version:` in thedata.yaml",
        )
    return Installation(pinned or (default_version if default_version.startswith(f"{series}.") else series))


def machine_result(pinned: str | None, default_version: str) -> CheckResult:
    """Return the doctor's finding about the engine on this machine."""
    try:
        version = find_installation(pinned, default_version).version
    except MissingDependencyError as error:
        return CheckResult(
            "clickhouse.chdb", CheckStatus.FAILED, error.message,
            cause="the embedded target runs ClickHouse's engine from Python packages",
            fix=install_command(pinned or "") if not platform_gap() else _ELSEWHERE,
        )  # fmt: skip
    facts: dict[str, object] = {"version": version}
    return CheckResult("clickhouse.chdb", CheckStatus.OK, f"chDB, engine {version}", facts=facts)


def missing_packages() -> list[str]:
    """Return the packages of the embedded server that cannot be imported."""
    return [name for name in _SERVER_PACKAGES if importlib.util.find_spec(name) is None]


def engine_series() -> str:
    """Return the first two parts of the engine's version, such as 26.9; the package has them, and not the others."""
    try:
        version = importlib.metadata.version(_ENGINE_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        version = importlib.metadata.version("chdb")
    return ".".join(version.split(".")[:2])


def platform_gap() -> str:
    """Say what to use where chDB has no wheel; empty where it has one."""
    system, machine = platform.system(), platform.machine().lower()
    if system not in ("Linux", "Darwin") or machine not in ("x86_64", "amd64", "aarch64", "arm64"):
        return f"chDB has no wheel for {system} on {machine}: {_ELSEWHERE}"
    if system == "Linux" and platform.libc_ver()[0] != "glibc":
        return f"chDB has no wheel for Linux without glibc: {_ELSEWHERE}"
    return ""


def install_command(version: str) -> str:
    """Return the command that installs the engine."""
    pip = f"{sys.executable} -m pip install"
    series = ".".join(version.split(".")[:2])
    return f'{pip} "{_ENGINE_PACKAGE}=={series}.*"' if version else f'{pip} "thedata[embedded]"'
