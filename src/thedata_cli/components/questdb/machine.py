"""What the doctor asks this machine about the embedded QuestDB; nothing here downloads."""

from __future__ import annotations

import platform
import resource
from collections.abc import Sequence
from pathlib import Path

from thedata_cli.components.questdb.installation import JAR_SHA256, find_java
from thedata_cli.errors import MissingDependencyError
from thedata_cli.health import CheckResult, CheckStatus

_WANTED_FILES = 8_192
_WANTED_MAPS = 65_530
_MAX_MAP_COUNT = Path("/proc/sys/vm/max_map_count")


def check_machine(version: str, jar_sha256: str | None) -> Sequence[CheckResult]:
    """Return the findings about Java, the jar's digest, and the limits on open files and memory maps."""
    checks = [_java(), _jar(version, jar_sha256), _open_files()]
    if _MAX_MAP_COUNT.exists():
        checks.append(_memory_maps(int(_MAX_MAP_COUNT.read_text())))
    return checks


def _java() -> CheckResult:
    try:
        java = find_java()
    except MissingDependencyError as error:
        return CheckResult(
            "questdb.java", CheckStatus.FAILED, "no Java that runs QuestDB", cause=error.message, fix=error.hint
        )
    return CheckResult("questdb.java", CheckStatus.OK, f"Java at {java}", facts={"java": str(java)})


def _jar(version: str, jar_sha256: str | None) -> CheckResult:
    facts: dict[str, object] = {"version": version, "machine": f"{platform.system()} {platform.machine()}"}
    if jar_sha256 or version in JAR_SHA256:
        return CheckResult("questdb.jar", CheckStatus.OK, f"QuestDB {version}, digest known", facts=facts)
    return CheckResult(
        "questdb.jar",
        CheckStatus.FAILED,
        f"QuestDB {version}, digest not known",
        cause="a jar of a version that thedata does not know is only run when the project says its digest",
        fix="set `components.questdb.jar_sha256`",
        facts=facts,
    )


def _open_files() -> CheckResult:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    facts: dict[str, object] = {"open_files": hard}
    if hard == resource.RLIM_INFINITY or hard >= _WANTED_FILES:
        return CheckResult("questdb.open_files", CheckStatus.OK, f"up to {hard} open files", facts=facts)
    return CheckResult(
        "questdb.open_files",
        CheckStatus.WARNING,
        f"up to {hard} open files",
        cause="each column of each open partition is a file; many tables run out of them",
        fix=f"ulimit -n {_WANTED_FILES}",
        facts=facts,
    )


def _memory_maps(limit: int) -> CheckResult:
    facts: dict[str, object] = {"max_map_count": limit}
    if limit >= _WANTED_MAPS:
        return CheckResult("questdb.memory_maps", CheckStatus.OK, f"up to {limit} memory maps", facts=facts)
    return CheckResult(
        "questdb.memory_maps",
        CheckStatus.WARNING,
        f"up to {limit} memory maps",
        cause="each open file is a memory map; many partitions run out of them",
        fix=f"sudo sysctl -w vm.max_map_count={_WANTED_MAPS}",
        facts=facts,
    )
