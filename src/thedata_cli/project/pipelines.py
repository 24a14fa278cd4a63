"""Reads pipelines, and resolves what they refer to into routes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.errors import Problem, SourcePosition
from thedata_cli.plan.resources import ResourceId
from thedata_cli.project.documents import read_document
from thedata_cli.project.model import PipelineFile, StreamPipeline, ViewPipeline
from thedata_cli.project.nodes import Document
from thedata_cli.project.references import References
from thedata_cli.project.stream_pipelines import StreamResolver
from thedata_cli.project.validation import validate
from thedata_cli.project.view_pipelines import view_routes


def read_pipelines(
    directory: Path, files: Sequence[Path], references: References, problems: list[Problem]
) -> tuple[list[PipelineFile], list[Route], list[ViewRoute]]:
    """Read every pipeline.

    Args:
        directory: Root of the project.
        files: Relative to it.
        references: What they may refer to.
        problems: Gets the mistakes.

    Returns:
        The valid ones, and a route for each target that could be resolved.
    """
    pipelines: list[PipelineFile] = []
    routes: list[Route] = []
    of_views: list[ViewRoute] = []
    names: dict[str, SourcePosition] = {}
    for file in files:
        document = read_document(directory, file, problems)
        pipeline = _pipeline(document, problems) if document else None
        if document is None or pipeline is None:
            continue
        position = document.position(("name",))
        if pipeline.name in names:
            message = f"{pipeline.name!r} is declared twice; first in {names[pipeline.name]}"
            problems.append(document.problem(("name",), message))
        names.setdefault(pipeline.name, position)
        pipelines.append(pipeline)
        if isinstance(pipeline, ViewPipeline):
            of_views.extend(view_routes(document, pipeline, references, problems))
        else:
            routes.extend(StreamResolver(document, pipeline, references, problems).routes())
    _refuse_shared_targets(routes, of_views, problems)
    return pipelines, routes, of_views


def _pipeline(document: Document, problems: list[Problem]) -> PipelineFile | None:
    """Read one file as the kind of pipeline that it is by what it reads."""
    if document.node(("view",)) is None:
        return validate(StreamPipeline, document, problems)
    if document.node(("stream",)) is not None:
        message = "a pipeline reads a stream or a view, not both"
        problems.append(document.problem(("stream",), message, "make two files of it"))
        return None
    return validate(ViewPipeline, document, problems)


def _refuse_shared_targets(routes: Sequence[Route], of_views: Sequence[ViewRoute], problems: list[Problem]) -> None:
    fed: dict[ResourceId, Route | ViewRoute] = {}
    named = [(route.target, route) for route in routes] + [(route.table, route) for route in of_views]
    for target, route in named:
        first = fed.setdefault(target, route)
        if first is not route and route.position:
            key = "tables" if target.kind == "table" else "sources"
            message = (
                f"{target.component}/{target.name} is already fed by pipeline {first.pipeline!r} ({first.position})"
            )
            problems.append(Problem(route.position, key, message, f"one {target.kind} is fed by one pipeline"))
