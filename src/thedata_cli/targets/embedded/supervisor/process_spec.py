"""What the supervisor must know to run one service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

MARKER = "THEDATA_SERVICE"
"""Environment variable of every process of a service: project key and service, by which orphans are known."""

SECRETS_MARKER = "THEDATA_SECRETS"
"""Environment variable with a digest of the secrets a process was started with, so that a later supervisor, which must
not find them in any file, can tell whether they are still the same."""


class ProcessSpec(NamedTuple):
    """One process, without its secrets.

    Attributes:
        fingerprint: Differs when the running process must be replaced.
        environment: On top of the supervisor's own.
        stop_signal: Name without `SIG`.
        facts: The command's own notes (ports, version, probe, …), kept and given back.
    """

    service: str
    fingerprint: str
    command: tuple[str, ...]
    environment: dict[str, str]
    working_dir: str
    log_file: str
    stop_signal: str
    stop_timeout_s: float
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return self._asdict()

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> ProcessSpec:
        """Read what `to_json` made."""
        return cls(**{**record, "command": tuple(record["command"])})


class Secrets(NamedTuple):
    """What a process gets in its environment and nowhere else."""

    values: Mapping[str, str]
    digest: str


def marker_value(project_key: str, service: str) -> str:
    """Return the value of `MARKER` for a service of a project."""
    return f"{project_key}:{service}"
