"""Pipelines that read a view: their references, resolved into routes."""

from __future__ import annotations

from functools import partial

from thedata_cli.component_api.routes import ViewRoute
from thedata_cli.errors import Problem
from thedata_cli.plan.resources import ResourceId
from thedata_cli.project.model import ViewPipeline
from thedata_cli.project.nodes import Document
from thedata_cli.project.references import References


def view_routes(
    document: Document, pipeline: ViewPipeline, references: References, problems: list[Problem]
) -> list[ViewRoute]:
    """Return a route for each table of the pipeline that could be resolved.

    Args:
        document: Of the pipeline.
        pipeline: The pipeline.
        references: What it may refer to.
        problems: Gets the mistakes.
    """

    def report(path: tuple[str | int, ...], message: str, expected: str) -> None:
        problems.append(document.problem(path, message, expected))

    view = references.view(pipeline.view, partial(report, ("view",)))
    for index, column in enumerate(pipeline.key):
        if column in pipeline.key[:index]:
            report(("key", index), f"{column!r} is named twice", "leave it out")
    routes = []
    for index, reference in enumerate(pipeline.tables):
        path = ("tables", index)
        declared = references.table(reference, partial(report, path))
        if view and declared:
            table = ResourceId(reference.partition("/")[0], "table", declared.model.name)
            position = document.position(path)
            routes.append(ViewRoute(pipeline.name, view, pipeline.key, table, pipeline.max_wait, position))
    return routes
