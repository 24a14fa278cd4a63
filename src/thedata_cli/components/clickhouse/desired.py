"""From the declarations of a project to its ClickHouse resources, and the mistakes that show without a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.contracts import SEQUENCE_COLUMN, Contract
from thedata_cli.component_api.declarations import AnyDeclared, Declared
from thedata_cli.component_api.routes import Route, ViewRoute
from thedata_cli.components.clickhouse.kinds import COMPONENT
from thedata_cli.components.clickhouse.mirror_problems import mirror_problems
from thedata_cli.components.clickhouse.sql import imbalance, table_references
from thedata_cli.components.clickhouse.tables import (
    ENGINES,
    FED_ENGINES,
    ClickHouseTable,
    ClickHouseView,
    Feed,
    added_columns,
    column_specs,
    expression_positions,
    table_spec,
    view_spec,
)
from thedata_cli.errors import Problem
from thedata_cli.plan.resources import Resource, ResourceId


def desired_resources(project: ProjectView, database: str) -> list[Resource]:
    """Return the database, the tables and the views that the project declares, defaults filled in."""
    home = ResourceId(COMPONENT, "database", database)
    resources = [] if database == "default" else [Resource(home, {}, managed_by=project.name)]
    ids = {declared.model.name: _id(declared) for declared in project.declared}
    feeds = _feeds(project)
    for declared in project.declared:
        model = declared.model
        if isinstance(model, ClickHouseView):
            spec = view_spec(model, database)
            reads = _reads(model, database)
        else:
            spec = table_spec(model, _contract(model, project), database, feeds.get(model.name))
            reads = frozenset()
        depends_on = sorted(ids[name] for name in reads if name in ids and name != model.name)
        resources.append(
            Resource(
                _id(declared),
                spec,
                depends_on=(home, *depends_on) if database != "default" else tuple(depends_on),
                position=declared.position,
                managed_by=project.name,
                positions=expression_positions(declared),
            )
        )
    return resources


def _id(declared: AnyDeclared) -> ResourceId:
    return ResourceId(COMPONENT, declared.model.kind, declared.model.name)


def _reads(view: ClickHouseView, database: str) -> frozenset[str]:
    references = table_references(view.query)
    return frozenset(reference.table for reference in references if reference.database in ("", database))


def _contract(table: ClickHouseTable, project: ProjectView) -> Contract | None:
    return project.contracts.get(table.contract) if table.contract else None


def _feeds(project: ProjectView) -> Mapping[str, Route | ViewRoute]:
    feeds: tuple[Route | ViewRoute, ...] = (*project.routes, *project.view_routes)
    return {feed.target.name: feed for feed in feeds if feed.target.component == COMPONENT}


def declaration_problems(project: ProjectView, database: str) -> Iterator[Problem]:
    """Yield the mistakes that show without a server."""
    feeds = _feeds(project)
    first: dict[str, AnyDeclared] = {}
    for declared in project.declared:
        name = declared.model.name
        if name in first:
            yield declared.problem(
                ("name",), f"{name!r} is also declared in {first[name].position.file}", "tables and views share names"
            )
        first.setdefault(name, declared)
        if isinstance(declared.model, ClickHouseView):
            yield from _view_problems(declared, name in feeds)
        else:
            yield from _table_problems(declared, project, feeds.get(name))
    yield from _circle_problems(project.declared, database)


def _view_problems(declared: Declared[ClickHouseView], is_fed: bool) -> Iterator[Problem]:
    if wrong := imbalance(declared.model.query.rstrip("; \n\t")):
        yield declared.problem(("query",), wrong, "the query must be one SELECT")
    if is_fed:
        yield declared.problem(("kind",), "a pipeline writes into this view", "pipelines can only write into tables")


def _circle_problems(all_declared: Sequence[AnyDeclared], database: str) -> Iterator[Problem]:
    views = {declared.model.name: declared for declared in all_declared if isinstance(declared.model, ClickHouseView)}
    graph = {
        name: {other for other in _reads(declared.model, database) if other in views}
        for name, declared in views.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        yield views[circle[0]].problem(("query",), f"views read each other in a circle: {' → '.join(circle)}")


def _table_problems(declared: Declared[ClickHouseTable], project: ProjectView, feed: Feed) -> Iterator[Problem]:
    table = declared.model
    contract = _contract(table, project)
    if table.contract and contract is None:
        known = ", ".join(sorted(project.contracts)) or "none"
        yield declared.problem(("contract",), f"unknown contract {table.contract!r}", f"the project has: {known}")
        return
    yield from _engine_problems(declared)
    yield from _expression_problems(declared)
    yield from _column_problems(declared, contract, feed)
    if isinstance(feed, Route):
        yield from _fed_problems(declared, contract, feed)
    elif feed is not None:
        yield from mirror_problems(declared, contract, feed)


def _engine_problems(declared: Declared[ClickHouseTable]) -> Iterator[Problem]:
    table = declared.model
    if table.engine_name not in ENGINES:
        yield declared.problem(
            ("table_engine",), f"unknown table engine {table.engine_name!r}", f"one of {', '.join(ENGINES)}"
        )
    elif not table.is_merge_tree:
        for key in ("order_by", "primary_key", "partition_by", "ttl"):
            if getattr(table, key) is not None:
                yield declared.problem(
                    (key,),
                    f"table engine {table.engine_name} has no {key}",
                    "only engines of the MergeTree family have",
                )


def _expression_problems(declared: Declared[ClickHouseTable]) -> Iterator[Problem]:
    table = declared.model
    texts: list[tuple[tuple[str | int, ...], str | None]] = [
        ((key,), getattr(table, key)) for key in ("table_engine", "partition_by", "ttl")
    ]
    for key in ("order_by", "primary_key"):
        texts += [((key, index), text) for index, text in enumerate(getattr(table, key) or ())]
    for index, column in enumerate(table.columns):
        for part in ("type", "default", "materialized", "alias", "codec"):
            texts.append((("columns", index, part), getattr(column, part)))
    for path, text in texts:
        if text and (wrong := imbalance(text)):
            yield declared.problem(path, f"{text!r}: {wrong}", "one SQL expression")


def _column_problems(declared: Declared[ClickHouseTable], contract: Contract | None, feed: Feed) -> Iterator[Problem]:
    table = declared.model
    seen: set[str] = set()
    for index, column in enumerate(table.columns):
        if column.name in seen:
            yield declared.problem(("columns", index, "name"), f"column {column.name!r} is declared twice")
        seen.add(column.name)
        if column.name in added_columns(feed):
            yield declared.problem(
                ("columns", index, "name"), f"{column.name!r} is added by itself: a pipeline feeds the table"
            )
        if contract and contract.field(column.name) and (column.materialized or column.alias):
            yield declared.problem(
                ("columns", index, "name"), f"{column.name!r} is a field of contract {contract.name!r}",
                "a computed column needs a name of its own",
            )  # fmt: skip
    names = column_specs(table, contract, feed)
    for name in names:
        if name.lower() == "not":
            # Written into the table's definition without quotes, so that the server could not read it back.
            yield declared.problem(("columns",), f"ClickHouse cannot keep a column named {name!r}", "another name")
    if not names.keys() - added_columns(feed):
        yield declared.problem((), f"table {table.name!r} has no columns", "set `contract` or `columns`")


def _fed_problems(declared: Declared[ClickHouseTable], contract: Contract | None, route: Route) -> Iterator[Problem]:
    """Yield what stands in the way of a pipeline that must recognise the rows it has written."""
    table = declared.model
    if table.engine_name not in FED_ENGINES:
        yield declared.problem(
            ("table_engine",), f"pipeline {route.pipeline!r} feeds this table, and {table.engine_name} does not keep "
            "the rows as they were inserted", f"one of {', '.join(FED_ENGINES)}",
        )  # fmt: skip
    elif table.engine_name == "ReplacingMergeTree" and "(" not in table.table_engine:
        yield declared.problem(
            ("table_engine",), "without a version the row inserted last wins, even when its message is older",
            f"ReplacingMergeTree({SEQUENCE_COLUMN})",
        )  # fmt: skip
    names = column_specs(table, contract, route)
    missing = [field.name for field in route.contract.fields if field.name not in names]
    if missing:
        yield declared.problem(
            ("contract",), f"no column for {', '.join(map(repr, missing))} of contract {route.contract.name!r}, "
            f"which pipeline {route.pipeline!r} writes", f"contract: {route.contract.name}",
        )  # fmt: skip
