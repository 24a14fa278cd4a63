"""What pipelines and feeds may refer to, found by name; what is not found is told with what is near."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.declarations import AnyDeclared
from thedata_cli.plan.resources import ResourceId
from thedata_cli.project.declarations import Declarations
from thedata_cli.project.registry import unknown_engine
from thedata_cli.project.suggestions import either, suggest

STREAMS = "streams"
TABLES = "tables"
VIEWS = "views"

FOLLOWED = ("view", "materialized_view", "source", "table")
"""Kinds of what is declared in views/ that has rows, whose changes can be followed."""

Report = Callable[[str, str], None]
"""Takes what is wrong, and what would be right."""


@dataclass(frozen=True)
class References:
    """What a pipeline may refer to.

    Attributes:
        declarations: Streams, tables, sources and views.
        contracts: By name.
        broken_contracts: Names of contracts that could not be read.
        components: Components of the project.
        engines: Those of them that have tables.
        view_engines: Those of them that have views and sources.
    """

    declarations: Declarations
    contracts: Mapping[str, Contract]
    broken_contracts: frozenset[str]
    components: Sequence[str]
    engines: Sequence[str]
    view_engines: Sequence[str]

    @cached_property
    def streams(self) -> dict[str, tuple[str, AnyDeclared]]:
        """Return every stream by name, with the component it is in."""
        return {
            name: (component, declared)
            for component in self.components
            for name, declared in self.declarations.named(STREAMS, component).items()
        }

    def hides_stream(self, name: str) -> bool:
        """Tell whether a file that could not be read may declare the stream."""
        return any(self.declarations.is_broken(STREAMS, component, name) for component in self.components)

    def table(self, reference: str, report: Report) -> AnyDeclared | None:
        """Return the table that is called engine/name; None after the mistake is told, or hidden by a broken file."""
        component, _, name = reference.partition("/")
        declared = self._find(reference, TABLES, self.engines, "table", report)
        kind = getattr(declared.model, "kind", "table") if declared else "table"
        if kind != "table":
            report(f"{component}/{name} is a {kind}, which a pipeline cannot fill", "name a table")
            return None
        return declared

    def source(self, reference: str, report: Report) -> ResourceId | None:
        """Return the source that is called component/name; None as for `table`."""
        component, _, name = reference.partition("/")
        declared = self._find(reference, VIEWS, self.view_engines, "source", report)
        if declared is None:
            return None
        if declared.model.kind != "source":
            kind = declared.model.kind.replace("_", " ")
            report(f"{reference} is a {kind}, which a pipeline cannot fill", "name a source")
            return None
        return ResourceId(component, "source", name)

    def view(self, reference: str, report: Report) -> ResourceId | None:
        """Return the view, or what else can be followed, that is called component/name; None as for `table`."""
        component, _, name = reference.partition("/")
        declared = self._find(reference, VIEWS, self.view_engines, "view", report)
        if declared is None:
            return None
        if declared.model.kind not in FOLLOWED:
            kind = declared.model.kind.replace("_", " ")
            report(f"{reference} is a {kind}, which a pipeline cannot read", "name a view")
            return None
        return ResourceId(component, declared.model.kind, name)

    def _find(
        self, reference: str, directory: str, engines: Sequence[str], what: str, report: Report
    ) -> AnyDeclared | None:
        component, _, name = reference.partition("/")
        if component not in engines:
            if component in self.components:
                report(f"component {component!r} has no {what}s", f"name a {what} of {either(engines)}")
            else:
                report(*unknown_engine(component, engines))
            return None
        found = self.declarations.named(directory, component)
        if name not in found and not self.declarations.is_broken(directory, component, name):
            report(f"unknown {what} {reference}", suggest(reference, [f"{component}/{known}" for known in found]))
        return found.get(name)
