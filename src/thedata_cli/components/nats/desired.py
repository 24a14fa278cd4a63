"""What the project wants of NATS: declared streams and consumers, and those that pipelines bring with them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.declarations import Declared
from thedata_cli.component_api.routes import Route
from thedata_cli.component_api.subjects import covers, overlap, overlap_any
from thedata_cli.components.nats.kinds import COMPONENT, STREAM, consumer_id, stream_id
from thedata_cli.components.nats.specs import DEFAULT_MAX_ACK_PENDING, consumer_spec, stream_spec
from thedata_cli.components.nats.streams import Consumer, Stream
from thedata_cli.errors import Problem, SourcePosition
from thedata_cli.plan.resources import Resource


def declared_resources(project: ProjectView) -> Sequence[Resource]:
    """Return every stream and consumer that the project wants, owned by it."""
    resources = []
    for declared in _streams(project):
        stream, name = declared.model, declared.model.name
        resources.append(_stream_resource(project.name, stream, declared.position))
        for index, consumer in enumerate(stream.consumers):
            position = declared.source.position(["consumers", index])
            resources.append(_consumer_resource(project.name, name, consumer, position))
    for stream, cause in _dead_letter_streams(project):
        resources.append(_stream_resource(project.name, stream, cause))
    for route in _routes(project):
        progress = _consumer_resource(project.name, route.stream.name, route_consumer(route), route.position)
        # A table keeps what it has got; a source may be empty again, and is then filled from the stream's beginning.
        resources.append(replace(progress, begins_with=None if route.target.kind == "table" else route.target))
    return resources


def route_consumer(route: Route) -> Consumer:
    """Return the consumer that keeps a route's progress.

    Several batches may wait for their acknowledgement, so that the next one is fetched while one is being written.
    """
    return Consumer(
        name=route.consumer,
        description=f"progress of pipeline {route.pipeline} into {route.target.component}/{route.target.name}",
        filter_subjects=(route.subject,) if route.subject else (),
        ack_wait=route.ack_wait_s,
        max_ack_pending=max(DEFAULT_MAX_ACK_PENDING, route.max_unacknowledged),
    )


def dead_letter_stream(name: str) -> Stream:
    """Return the stream that holds dead letters when the project does not declare it."""
    return Stream(name=name, description="messages that a pipeline could not accept", subjects=(f"{name}.>",))


def _stream_resource(project: str, stream: Stream, position: SourcePosition | None) -> Resource:
    return Resource(stream_id(stream.name), stream_spec(stream), position=position, managed_by=project)


def _consumer_resource(project: str, stream: str, consumer: Consumer, position: SourcePosition | None) -> Resource:
    return Resource(
        consumer_id(stream, consumer.name),
        consumer_spec(consumer),
        depends_on=(stream_id(stream),),
        inside=stream_id(stream),
        position=position,
        managed_by=project,
    )


def _streams(project: ProjectView) -> Iterator[Declared[Stream]]:
    return (declared for declared in project.declared if isinstance(declared.model, Stream))


def _routes(project: ProjectView) -> Iterator[Route]:
    """Return the routes that read from here."""
    return (route for route in project.routes if (route.stream.component, route.stream.kind) == (COMPONENT, STREAM))


def _dead_letter_streams(project: ProjectView) -> Iterator[tuple[Stream, SourcePosition | None]]:
    """Yield the dead-letter streams that routes name and no file declares."""
    known = {declared.model.name for declared in _streams(project)}
    for route in _routes(project):
        if route.dead_letter_stream not in known:
            known.add(route.dead_letter_stream)
            yield dead_letter_stream(route.dead_letter_stream), route.position


def stream_problems(project: ProjectView, store_limits: Mapping[str, int]) -> Iterator[Problem]:
    """Yield what no single file can know to be wrong.

    Args:
        project: The project.
        store_limits: Bytes that all streams of a storage, `file` or `memory`, may take together.
    """
    streams = list(_streams(project))
    yield from _space_problems(streams, store_limits)
    yield from _name_problems(streams)
    yield from _overlap_problems(project, streams)
    for declared in streams:
        routes = [route for route in _routes(project) if route.stream.name == declared.model.name]
        yield from _consumer_problems(declared)
        yield from _number_problems(declared, len(routes))
        yield from _route_problems(declared, routes)
        yield from _workqueue_problems(declared, routes)
    yield from _dead_letter_problems(project, streams)


def _name_problems(streams: Sequence[Declared[Stream]]) -> Iterator[Problem]:
    for first, second in combinations(streams, 2):
        if first.model.name == second.model.name:
            message = f"the stream {second.model.name!r} is already declared at {first.position}"
            yield second.problem(["name"], message, "give it another name")


def _overlap_problems(project: ProjectView, streams: Sequence[Declared[Stream]]) -> Iterator[Problem]:
    added = [stream for stream, _ in _dead_letter_streams(project)]
    for position, second in enumerate(streams):
        others = [other.model for other in streams[:position]] + added
        for index, subject in enumerate(second.model.subjects):
            for other in others:
                if other.name != second.model.name and overlap_any(subject, other.subjects):
                    message = f"{subject!r} overlaps with the subjects of the stream {other.name!r}"
                    yield second.problem(["subjects", index], message, "a subject belongs to one stream")


def _space_problems(streams: Sequence[Declared[Stream]], store_limits: Mapping[str, int]) -> Iterator[Problem]:
    """The server sets `max_bytes` aside for each stream, and refuses a stream for which nothing is left."""
    left = dict(store_limits)
    for declared in streams:
        storage, wanted = declared.model.storage, declared.model.max_bytes or 0
        if wanted > left[storage]:
            message = (
                f"{wanted} bytes are more than the {left[storage]} that remain of the component's max_{storage}_store"
            )
            yield declared.problem(["max_bytes"], message, f"raise max_{storage}_store under `components: nats:`")
        left[storage] -= wanted


def _consumer_problems(declared: Declared[Stream]) -> Iterator[Problem]:
    stream = declared.model
    names = [consumer.name for consumer in stream.consumers]
    for index, consumer in enumerate(stream.consumers):
        if consumer.name in names[:index]:
            yield declared.problem(["consumers", index, "name"], f"the consumer {consumer.name!r} is declared twice")
        for at, subject in enumerate(consumer.filter_subjects):
            if stream.subject_transform is None and not overlap_any(subject, stream.subjects):
                yield declared.problem(
                    ["consumers", index, "filter_subjects", at],
                    f"{subject!r} matches nothing in the stream",
                    f"its subjects are {', '.join(stream.subjects)}",
                )


def _number_problems(declared: Declared[Stream], of_pipelines: int) -> Iterator[Problem]:
    limit, own = declared.model.max_consumers, len(declared.model.consumers)
    if limit is not None and own + of_pipelines > limit:
        message = f"{limit} is less than its consumers: {own} of its own and {of_pipelines} of pipelines"
        yield declared.problem(["max_consumers"], message)


def _route_problems(declared: Declared[Stream], routes: Sequence[Route]) -> Iterator[Problem]:
    stream = declared.model
    taken = {consumer.name for consumer in stream.consumers}
    for route in routes:
        position = route.position or declared.position
        if route.consumer in taken:
            message = f"its consumer {route.consumer!r} is declared in {declared.source.file} too"
            yield Problem(position, "", message, "rename that one")
        if route.subject and stream.subject_transform is None and not overlap_any(route.subject, stream.subjects):
            yield Problem(
                position,
                "subject",
                f"{route.subject!r} matches nothing in the stream {stream.name!r}",
                f"its subjects are {', '.join(stream.subjects)}",
            )


def _workqueue_problems(declared: Declared[Stream], routes: Sequence[Route]) -> Iterator[Problem]:
    """A work queue gives each message to one consumer, so its consumers must not overlap."""
    stream = declared.model
    if stream.retention != "workqueue":
        return
    for index, consumer in enumerate(stream.consumers):
        if consumer.ack_policy != "explicit" or consumer.deliver != "all":
            message = "a consumer of a work queue has ack_policy explicit and deliver all"
            yield declared.problem(["consumers", index], message)
    readers = [*stream.consumers, *map(route_consumer, routes)]
    for first, second in combinations(readers, 2):
        for one in first.filter_subjects or (">",):
            if any(overlap(one, other) for other in second.filter_subjects or (">",)):
                message = f"the consumers {first.name!r} and {second.name!r} of this work queue share messages"
                yield declared.problem(["retention"], message, "use retention limits, or filters that do not overlap")


def _dead_letter_problems(project: ProjectView, streams: Sequence[Declared[Stream]]) -> Iterator[Problem]:
    by_name = {declared.model.name: declared for declared in streams}
    for route in _routes(project):
        declared = by_name.get(route.dead_letter_stream)
        subject = f"{route.dead_letter_stream}.{route.consumer}"
        if declared and not any(covers(pattern, subject) for pattern in declared.model.subjects):
            yield Problem(
                route.position or declared.position,
                "dead_letters",
                f"the stream {route.dead_letter_stream!r} does not take the subject {subject!r}",
                f"add the subject `{route.dead_letter_stream}.>` to it",
            )
