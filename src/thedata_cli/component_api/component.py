"""The contract of a component.

The settings model *is* the component: one entry under `components:` of `thedata.yaml`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar

from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.declarations import AnyDeclared, Declaration, Model
from thedata_cli.component_api.embedded import EmbeddedProcess, Installation, Placement, Progress
from thedata_cli.component_api.endpoints import Endpoint, SecretSpec
from thedata_cli.component_api.live import LiveComponent
from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.component_api.sql_files import SqlDeclaration
from thedata_cli.errors import Problem
from thedata_cli.health import CheckResult
from thedata_cli.plan.changes import ResourceKind
from thedata_cli.plan.resources import Resource


@dataclass(frozen=True)
class ProjectView:
    """What a component may know of the project when it makes resources.

    Attributes:
        name: Name of the project; the mark of ownership on live resources.
        declared: This component's own declarations, in file order.
        contracts: By name.
        routes: Every route from a stream, of every pipeline.
        view_routes: Every route from a view.
    """

    name: str
    declared: Sequence[AnyDeclared]
    contracts: Mapping[str, Contract]
    routes: Sequence[Route] = ()
    view_routes: Sequence[ViewRoute] = ()


class Component(Model, ABC):
    """One system of the stack. Everything here is pure, but for `install`, `check_machine` and `connect`."""

    key: ClassVar[str]
    """Its key under `components:`, and its name everywhere."""

    summary: ClassVar[str]
    """What it is, in a few words for a person."""

    default_version: ClassVar[str]
    """The newest version that the project's tests ran; the same for every target."""

    ports: ClassVar[Mapping[str, int]]
    """The usual number of each port, by the component's name for it."""

    secrets: ClassVar[Sequence[SecretSpec]] = ()

    declarations: ClassVar[Mapping[str, Sequence[type[Declaration]]]] = {}
    """Directory of the project → models of the files in it. Where components share a directory (`tables/`), each model
    has a field `engine: Literal[<key>]` that tells them apart; where one component has several models for a directory,
    a field `kind: Literal[…]` does, and the model whose `kind` has a default is meant when the file names none."""

    sql_files: ClassVar[Mapping[str, type[SqlDeclaration]]] = {}
    """Directory of the project → model of the SQL files in it, one statement each; no directory of `declarations`."""

    kinds: ClassVar[Sequence[ResourceKind]] = ()

    depends_on: ClassVar[Sequence[str]] = ()
    """Components that must be healthy before this one starts, when they are in the stack."""

    version: str | None = None
    """Version to run; the default is the one thedata was tested with."""

    @property
    def wanted_version(self) -> str:
        """The pinned version, else the default."""
        return self.version or self.default_version

    def secrets_for(self, project: ProjectView) -> Sequence[SecretSpec]:  # noqa: ARG002
        """Return the secrets that it needs in this project; `secrets` unless the project's own files name more."""
        return self.secrets

    def problems(self, project: ProjectView) -> Iterator[Problem]:  # noqa: ARG002
        """Yield mistakes that a model cannot see alone: unknown contracts, columns, duplicate subjects and the like."""
        yield from ()

    def resources(self, project: ProjectView) -> Sequence[Resource]:  # noqa: ARG002
        """Return the resources of this component, defaults filled in. Only called when `problems` found nothing."""
        return ()

    @abstractmethod
    def install(self, placement: Placement, progress: Progress) -> Installation:
        """Find, or fetch into the cache, what the embedded process runs.

        Raises:
            MissingDependencyError: What is missing, and the command or file that mends it.
        """

    @abstractmethod
    def embedded_process(self, placement: Placement, installation: Installation) -> EmbeddedProcess:
        """Return the process to run on this machine."""

    def check_machine(self) -> Sequence[CheckResult]:
        """Return the doctor's findings about what the embedded process needs on this machine; never downloads."""
        return ()

    def web_address(self, host: str, ports: Mapping[str, int]) -> str:  # noqa: ARG002
        """Return where a person would look with a browser, without credentials; empty when there is nothing to see."""
        return ""

    def client_environment(self, endpoint: Endpoint) -> Mapping[str, str]:  # noqa: ARG002
        """Return the variables of `thedata env`, such as `NATS_URL`, credentials included."""
        return {}

    def connect(self, endpoint: Endpoint, project: str) -> AbstractAsyncContextManager[LiveComponent] | None:  # noqa: ARG002
        """Open a connection; None for a component that has nothing to connect to.

        Raises:
            ServiceUnreachableError: On entering, when it does not answer or does not let us in.
        """
        return None
