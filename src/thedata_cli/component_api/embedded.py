"""The embedded process of a component: what runs on this machine without containers, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Placement:
    """Where the embedded target puts one process.

    Attributes:
        data_dir: Survives `down` and reboots; exists when the process starts.
        config_dir: Gets the process's files; rewritten by every `up`.
        cache_dir: Shared by all projects of this user: downloads.
        project_dir: Root of the project.
        environment: Name of the environment the stack was resolved for; empty for the default.
        host: Address to listen on; 127.0.0.1 unless the user decides otherwise.
        ports: Chosen for this project, by the component's names.
    """

    data_dir: Path
    config_dir: Path
    cache_dir: Path
    project_dir: Path
    host: str
    ports: Mapping[str, int]
    environment: str = ""


@dataclass(frozen=True)
class HttpProbe:
    """Healthy when a GET answers `status`.

    Attributes:
        port: The component's name of the port.
    """

    port: str
    path: str
    status: int = 200


@dataclass(frozen=True)
class EmbeddedProcess:
    """One process under the supervisor. Pure data: the same placement gives the same bytes.

    Attributes:
        command: Absolute program and its arguments; never a secret.
        environment: Variables on top of the user's own.
        secret_environment: Variable → secret name; the value is put in when the process starts and stands in no file.
        files: Path relative to the placement's `config_dir` → text; never a secret.
        probe: How to tell that it is healthy.
        stop_signal: Asks it to stop in good order.
        stop_timeout_s: Seconds it gets for that before it is killed.
    """

    command: tuple[str, ...]
    probe: HttpProbe
    environment: Mapping[str, str] = field(default_factory=dict)
    secret_environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_timeout_s: int = 20


Progress = Callable[[str], None]
"""Told in a few words what takes time, such as "downloading QuestDB 9.3.4 (30 MB)"."""


@dataclass(frozen=True)
class Installation:
    """What a component found on this machine for its embedded process.

    Attributes:
        version: The version that will run.
        paths: Programs and files by the component's own names for them.
    """

    version: str
    paths: Mapping[str, Path] = field(default_factory=dict)
