"""From a project to the resources it declares, all components together."""

from __future__ import annotations

from collections.abc import Sequence

from thedata_cli.plan.resources import Resource
from thedata_cli.project.model import Project


def desired_resources(project: Project) -> Sequence[Resource]:
    """Return every resource of the project, sorted by name; the same project gives the same list."""
    resources = [
        resource for key, component in project.components.items() for resource in component.resources(project.view(key))
    ]
    return sorted(resources, key=lambda resource: resource.id)
