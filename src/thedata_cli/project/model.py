"""What the files of a project say, typed. The files of resources are modelled by their components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from thedata_cli.component_api.component import Component, ProjectView
from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.declarations import AnyDeclared, Model, Name
from thedata_cli.component_api.endpoints import SecretSpec
from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.component_api.units import Duration
from thedata_cli.project.queries import NamedQuery

DEAD_LETTER_STREAM = "dead-letters"
"""Made by the component that has streams when no file declares it."""


class FeedSettings(Model):
    """A way to fill a stream from outside: a program that writes one JSON message a line."""

    stream: Name
    """Stream that gets the messages."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    """Program and arguments, run in the project's directory."""

    subject: str = ""
    """Subject of each message; `{field}` stands for a field of it. The default is the stream's only subject."""

    description: str = ""
    """What it brings, in a few words."""

    messages: Annotated[int, Field(ge=1)] | None = None
    """About how many messages it brings; for the progress bar."""

    endless: bool = False
    """Whether it never ends; `thedata demo` then runs it for a while."""


class ProjectFile(Model):
    """The root of a project, `thedata.yaml`: its name, its components, its feeds."""

    name: Name
    """Name of the project; the mark of ownership on everything it creates."""

    description: str = ""
    """What the project is for, in a few words."""

    components: Mapping[str, Any]
    """The systems of the stack, each with its settings; `{}` for the defaults."""

    feeds: Mapping[Name, FeedSettings] = {}
    """Ways to fill a stream from outside, by name; `thedata demo` runs them."""


class BatchSettings(Model):
    """How many messages go into one write."""

    max_messages: Annotated[int, Field(ge=1, le=100_000)] = 5000
    """Messages in one write, at most."""

    max_wait: Duration | None = None
    """How long a message waits for its batch to fill: `500ms` into tables, `50ms` into sources."""


def _reference(what: str, form: str, example: str) -> AfterValidator:
    def check(reference: str) -> str:
        component, _, name = reference.partition("/")
        if not component or not name or "/" in name:
            raise ValueError(f"{reference!r} does not name a {what}; write it as {form}, such as `{example}`")
        return reference

    return AfterValidator(check)


TableReference = Annotated[
    str, _reference("table", "engine/name", "questdb/departures"), Field(examples=["questdb/departures"])
]
"""Engine and table."""

SourceReference = Annotated[
    str, _reference("source", "component/name", "materialize/events"), Field(examples=["materialize/events"])
]
"""Component and source."""

ViewReference = Annotated[
    str, _reference("view", "component/name", "materialize/delays"), Field(examples=["materialize/delays"])
]
"""Component and view."""


class StreamPipeline(Model):
    """A declared way from a stream to tables and sources."""

    name: Name
    """Name of the pipeline."""

    description: str = ""
    """What it is for, in a few words."""

    stream: Name
    """Stream that is read."""

    subject: str = ""
    """Only messages of this subject, which may have wildcards; empty means all of the stream."""

    contract: Name | None = None
    """What the messages must look like; needed when more than one contract's subject matches."""

    tables: Annotated[tuple[TableReference, ...], Field(min_length=1)] = ()
    """Tables that get the rows, each as engine/name."""

    sources: Annotated[tuple[SourceReference, ...], Field(min_length=1)] = ()
    """Sources of streaming SQL that get the rows, each as component/name."""

    batch: BatchSettings = BatchSettings()
    """How many messages go into one write."""

    dead_letters: Name = DEAD_LETTER_STREAM
    """Stream that gets the messages that the contract, a table or a source does not accept."""


class ViewPipeline(Model):
    """A declared way from a view to tables, which are kept equal to it."""

    name: Name
    """Name of the pipeline."""

    description: str = ""
    """What it is for, in a few words."""

    view: ViewReference
    """View that is read, as component/name: whatever can be subscribed to."""

    key: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Columns of the view whose values no two of its rows share."""

    tables: Annotated[tuple[TableReference, ...], Field(min_length=1)]
    """Tables that are kept equal to the view, each as engine/name."""

    max_wait: Duration = 0.1
    """How long a change waits for others to be written with it, at most."""


PipelineFile = StreamPipeline | ViewPipeline
"""One file of `pipelines/`; it names a stream or a view."""


@dataclass(frozen=True)
class Project:
    """A valid project, resolved for one environment.

    Attributes:
        directory: Absolute.
        components: By key, in the order of thedata.yaml.
        declared: By component key, in file order.
        contracts: By name.
        pipelines: In file order.
        routes: One for each target of each pipeline that reads a stream.
        view_routes: One for each table of each pipeline that reads a view.
        queries: By name.
        feeds: By name, in the order of thedata.yaml.
    """

    name: str
    directory: Path
    environment: str
    components: Mapping[str, Component]
    declared: Mapping[str, Sequence[AnyDeclared]] = field(default_factory=dict)
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    pipelines: Sequence[PipelineFile] = ()
    routes: Sequence[Route] = ()
    view_routes: Sequence[ViewRoute] = ()
    queries: Mapping[str, NamedQuery] = field(default_factory=dict)
    feeds: Mapping[str, FeedSettings] = field(default_factory=dict)
    description: str = ""

    def view(self, component: str) -> ProjectView:
        """Return what the component of that key may know of the project."""
        return ProjectView(self.name, self.declared.get(component, ()), self.contracts, self.routes, self.view_routes)

    @property
    def secrets(self) -> Mapping[str, Sequence[SecretSpec]]:
        """The secrets that each component needs, by its key."""
        return {key: component.secrets_for(self.view(key)) for key, component in self.components.items()}
