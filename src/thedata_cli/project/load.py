"""Loads a project: files in, one typed and validated whole out, or every mistake of every file at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from thedata_cli.component_api.component import Component
from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.declarations import AnyDeclared
from thedata_cli.errors import InvalidProjectError, MissingDependencyError, Problem, SourcePosition, UsageError
from thedata_cli.project.contracts import read_contract
from thedata_cli.project.declarations import Declarations, candidates_by_directory, read_declarations
from thedata_cli.project.environments import check_environment, read_project_file
from thedata_cli.project.feeds import feed_mistakes
from thedata_cli.project.files import (
    DEFAULT_ENVIRONMENT,
    OWN_DIRECTORIES,
    PROJECT_FILE,
    find_project,
    list_files,
    unread_directories,
)
from thedata_cli.project.model import Project, ProjectFile
from thedata_cli.project.nodes import Document
from thedata_cli.project.pipelines import read_pipelines
from thedata_cli.project.queries import NamedQuery, read_query
from thedata_cli.project.references import TABLES, VIEWS, References
from thedata_cli.project.registry import WORKER, component_class, component_keys
from thedata_cli.project.sql_files import SUFFIXES as SQL_SUFFIXES
from thedata_cli.project.sql_files import read_sql_files, sql_directories
from thedata_cli.project.suggestions import either, suggest
from thedata_cli.project.validation import validate


def open_project(start: Path, environment: str = DEFAULT_ENVIRONMENT) -> Project:
    """Find and load the project that a directory belongs to.

    Raises:
        InvalidProjectError: The files have mistakes; all of them are listed.
        UsageError: There is no project, or it has no such environment.
    """
    return load_project(find_project(start), environment)


def load_project(directory: Path, environment: str = DEFAULT_ENVIRONMENT) -> Project:
    """Load the project in a directory as one environment sees it.

    Every environment is checked, not only the one that is asked for.

    Raises:
        InvalidProjectError: The files have mistakes; all of them are listed.
        UsageError: There is no project, or it has no such environment.
    """
    if not (directory / PROJECT_FILE).is_file():
        raise UsageError(f"{directory} has no {PROJECT_FILE}", hint="`thedata init NAME` makes a project")
    problems: list[Problem] = []
    project = _Loader(directory.absolute(), problems).load(environment)
    if problems or project is None:
        raise InvalidProjectError(problems)
    return project


@dataclass
class _Root:
    """thedata.yaml as one environment sees it.

    Attributes:
        settings: None when it is too broken to go on with.
        classes: Of the components that could be found, the worker included when the project has pipelines.
        components: Those of them whose settings are valid.
    """

    settings: ProjectFile | None
    document: Document | None
    classes: dict[str, type[Component]] = field(default_factory=dict)
    components: dict[str, Component] = field(default_factory=dict)


class _Loader:
    def __init__(self, directory: Path, problems: list[Problem]) -> None:
        self._directory = directory
        self._problems = problems
        self._files = {name: list_files(directory, name, problems) for name in OWN_DIRECTORIES}

    def load(self, environment: str) -> Project | None:
        overlays = self._files["environments"]
        check_environment(environment, overlays)
        root = self._read_root(environment, self._problems)
        for overlay in overlays:
            if overlay.stem != environment:
                self._read_root(overlay.stem, self._problems)
        contracts, broken_contracts = self._read_contracts()
        if not root.classes.keys() - {WORKER}:
            # Every reference would be unknown; the mistake is that no component is there.
            self._report_no_components(root)
            return None
        candidates = candidates_by_directory(root.classes)
        for name in candidates:
            self._files.setdefault(name, list_files(self._directory, name, self._problems))
        of_sql = sql_directories(root.classes)
        for name in of_sql:
            self._files[name] = list_files(self._directory, name, self._problems, SQL_SUFFIXES)
        self._report_unread(root)
        declarations = read_declarations(self._directory, self._files, candidates, self._problems)
        for name, (component, model) in of_sql.items():
            read_sql_files(self._directory, self._files[name], component, model, declarations, self._problems)
        self._check_contract_references(declarations, contracts, broken_contracts)
        engines = tuple(key for key, component in root.classes.items() if TABLES in component.declarations)
        view_engines = tuple(key for key, component in root.classes.items() if VIEWS in component.sql_files)
        references = References(declarations, contracts, broken_contracts, tuple(root.classes), engines, view_engines)
        pipelines, routes, view_routes = read_pipelines(
            self._directory, self._files["pipelines"], references, self._problems
        )
        queries = self._read_queries(root)
        self._check_feeds(root, references)
        if root.settings is None:
            return None
        project = Project(
            name=root.settings.name,
            directory=self._directory,
            environment=environment,
            components=root.components,
            declared=declarations.by_component,
            contracts=contracts,
            pipelines=pipelines,
            routes=routes,
            view_routes=view_routes,
            queries=queries,
            feeds=root.settings.feeds,
            description=root.settings.description,
        )
        self._ask_components(project, broken_contracts)
        return project

    def _report_no_components(self, root: _Root) -> None:
        if root.settings is not None and root.document is not None and not root.settings.components:
            expected = f"name at least one: {', '.join(key for key in component_keys() if key != WORKER)}"
            self._problems.append(root.document.problem(("components",), "the project has no component", expected))

    def _read_root(self, environment: str, problems: list[Problem]) -> _Root:
        document = read_project_file(self._directory, environment, self._files["environments"], problems)
        if document is None:
            return _Root(None, None)
        root = _Root(validate(ProjectFile, document, problems), document)
        node = document.node(("components",))
        written = list(node.value) if node and isinstance(node.value, dict) else []
        if self._files["pipelines"] and WORKER not in written:
            written.append(WORKER)
        for key in written:
            component = self._component_class(key, document, problems)
            if component is None:
                continue
            root.classes[key] = component
            settings = validate(component, document, problems, path=("components", key))
            if settings is not None:
                root.components[key] = settings
        return root

    def _component_class(self, key: str, document: Document, problems: list[Problem]) -> type[Component] | None:
        try:
            return component_class(key)
        except UsageError as error:
            message, expected = error.message, error.hint
        except MissingDependencyError as error:
            message, expected = error.message, error.hint
        path = ("components", key)
        problems.append(Problem(document.key_position(path), ".".join(path), message, expected))
        return None

    def _read_contracts(self) -> tuple[dict[str, Contract], frozenset[str]]:
        contracts: dict[str, Contract] = {}
        files: dict[str, Path] = {}
        broken: set[str] = set()
        for file in self._files["contracts"]:
            if file.stem in files:
                message = f"contract {file.stem!r} is declared twice; first in {files[file.stem]}"
                self._problems.append(Problem(SourcePosition(file, 1, 1), "", message, "rename one of the files"))
                continue
            files[file.stem] = file
            contract = read_contract(self._directory, file, self._problems)
            if contract:
                contracts[file.stem] = contract
            else:
                broken.add(file.stem)
        return contracts, frozenset(broken)

    def _report_unread(self, root: _Root) -> None:
        """Name directories that nobody reads: misspelt ones, and those of components that the project has not got."""
        if root.document is None:
            return
        unread = dict(unread_directories(self._directory, self._files.keys()))
        readers = _absent_readers(unread, root.classes) if unread else {}
        for name, near in unread.items():
            message, expected = f"the files of {name}/ are not read", ""
            if name in readers:
                expected = f"add {either([f'`{key}: {{}}`' for key in readers[name]])} under `components:`"
            elif near:
                expected = f"did you mean {near}/?"
            if expected:
                self._problems.append(Problem(SourcePosition(Path(name)), "", message, expected))

    def _check_contract_references(
        self, declarations: Declarations, contracts: Mapping[str, Contract], broken: frozenset[str]
    ) -> None:
        for declared in _all_declared(declarations):
            name = getattr(declared.model, "contract", None)
            if name and name not in contracts and name not in broken:
                message = f"unknown contract {name!r}"
                self._problems.append(declared.problem(("contract",), message, suggest(name, {*contracts, *broken})))

    def _read_queries(self, root: _Root) -> dict[str, NamedQuery]:
        queries: dict[str, NamedQuery] = {}
        engines = root.classes.keys() - {WORKER}
        for file in self._files["queries"]:
            query = read_query(self._directory, file, engines, self._problems)
            if query is None:
                continue
            first = queries.setdefault(query.name, query)
            if first is not query:
                message = f"query {query.name!r} is declared twice; first in {first.position.file}"
                self._problems.append(Problem(query.position, "", message, "rename one of the files"))
        return queries

    def _check_feeds(self, root: _Root, references: References) -> None:
        if root.settings is None or root.document is None:
            return
        for name, feed in root.settings.feeds.items():
            for key, message, expected in feed_mistakes(feed, references):
                self._problems.append(root.document.problem(("feeds", name, key), message, expected))

    def _ask_components(self, project: Project, broken_contracts: frozenset[str]) -> None:
        """Let each component look at its own declarations, but for those whose contract is not there to look at."""
        for key, component in project.components.items():
            declared = [
                item
                for item in project.declared.get(key, ())
                if (getattr(item.model, "contract", None) or "") in {"", *project.contracts} - broken_contracts
            ]
            view = replace(project.view(key), declared=declared)
            self._problems.extend(component.problems(view))


def _all_declared(declarations: Declarations) -> Sequence[AnyDeclared]:
    return [declared for found in declarations.by_component.values() for declared in found]


def _absent_readers(directories: Collection[str], present: Collection[str]) -> dict[str, list[str]]:
    """Return which components, that the project does not have, would read the directories."""
    readers: dict[str, list[str]] = {}
    for key in component_keys():
        if key in present:
            continue
        try:
            component = component_class(key)
        except MissingDependencyError:
            continue
        for name in (component.declarations.keys() | component.sql_files.keys()) & set(directories):
            readers.setdefault(name, []).append(key)
    return readers
