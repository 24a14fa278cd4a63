"""Two literals in, the plan's text out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plan.kinds import PlainKind, consumer, stream
from thedata_cli.errors import RefusedError
from thedata_cli.plan.changes import Plan
from thedata_cli.plan.make_plan import make_plan
from thedata_cli.plan.resources import Resource, ResourceId, differences

KINDS = (PlainKind(), PlainKind(name="consumer"))


def plan_of(desired: Sequence[Resource], observed: Sequence[Resource], adopt: Collection[ResourceId] = ()) -> Plan:
    return make_plan(project="p", desired=desired, observed=observed, kinds=KINDS, adopt=adopt)


def text(desired: Sequence[Resource], observed: Sequence[Resource], adopt: Collection[ResourceId] = ()) -> str:
    return str(plan_of(desired, observed, adopt))


def test_nothing_to_do() -> None:
    assert text([stream("a", {"color": 1})], [stream("a", {"color": 1, "extra": 2}, managed_by="p")]) == "no changes"


def test_creates_dependencies_first() -> None:
    late = stream("a", depends_on=(stream("z").id,))
    assert text([late, stream("z")], []) == (
        "create broker/stream/z: declared, not found\ncreate broker/stream/a: declared, not found"
    )


def test_updates_in_place_where_the_service_can() -> None:
    before = stream("a", {"color": "red"}, managed_by="p")
    assert text([stream("a", {"color": "blue"})], [before]) == "update broker/stream/a: color differs"


def test_replaces_where_it_cannot_and_says_what_is_lost() -> None:
    before = stream("a", {"color": "red", "shape": 1}, managed_by="p")
    assert text([stream("a", {"color": "blue", "shape": 2})], [before]) == (
        "replace broker/stream/a: color, shape differ; cannot be changed in place [loses its messages]"
    )


def test_what_lives_inside_a_replaced_resource_is_created_again() -> None:
    before = stream("a", {"shape": 1}, managed_by="p")
    inner = consumer("c", before, {"color": 1}, managed_by="p")
    after = stream("a", {"shape": 2})
    assert text([after, consumer("c", after, {"color": 1})], [before, inner]).splitlines()[1] == (
        "create broker/consumer/a/c: goes away with broker/stream/a, which is replaced"
    )


def test_rebuilds_what_breaks_with_its_dependency() -> None:
    base_before, base_after = stream("a", {"shape": 1}, managed_by="p"), stream("a", {"shape": 2})
    view = stream("v", {"color": 1}, depends_on=(base_after.id,), is_rebuilt_with_dependencies=True, managed_by="p")
    assert text([base_after, view], [base_before, view]).splitlines()[1] == (
        "replace broker/stream/v: broker/stream/a is replaced [loses its messages]"
    )


def test_what_keeps_the_progress_of_something_new_is_deleted_before_that_is_there() -> None:
    """So that a run that is cut off in between is continued by the next plan."""
    source, held = stream("source", {"shape": 1}), stream("held", managed_by="p")
    progress = consumer("c", held, {"color": 1}, managed_by="p")
    wanted = [consumer("c", held, {"color": 1}, begins_with=source.id), source, held]
    cause = "begins anew with broker/stream/source"
    expected = [f"delete broker/consumer/held/c: {cause}", "{}", f"create broker/consumer/held/c: {cause}"]
    created = "create broker/stream/source: declared, not found"
    assert text(wanted, [held, progress]) == "\n".join(expected).format(created)
    replaced = text(wanted, [held, progress, stream("source", {"shape": 2}, managed_by="p")]).splitlines()
    assert [line.split(":")[0] for line in replaced] == [
        "delete broker/consumer/held/c", "replace broker/stream/source", "create broker/consumer/held/c",
    ]  # fmt: skip
    assert text(wanted, [held, stream("source", {"shape": 1}, managed_by="p"), progress]) == "no changes"
    assert text(wanted, [held]).splitlines() == [created, "create broker/consumer/held/c: declared, not found"]


def test_deletes_only_what_the_project_created() -> None:
    mine, foreign, other = (stream(n, managed_by=who) for n, who in (("mine", "p"), ("foreign", ""), ("other", "q")))
    assert text([], [mine, foreign, other]) == "delete broker/stream/mine: no longer declared [loses its messages]"


def test_deletes_dependants_first_and_nothing_twice() -> None:
    base = stream("a", managed_by="p")
    view = stream("v", depends_on=(base.id,), managed_by="p")
    inner = consumer("c", base, managed_by="p")
    assert text([], [base, view, inner]) == (
        "delete broker/stream/v: no longer declared [loses its messages]\n"
        "delete broker/stream/a: no longer declared [loses its messages]"
    )


def test_a_foreign_resource_in_the_way_is_a_conflict_until_it_is_adopted() -> None:
    foreign = stream("a", {"color": 1})
    plan = plan_of([stream("a", {"color": 1})], [foreign])
    assert str(plan) == "conflict broker/stream/a exists and was not created by thedata"
    with pytest.raises(RefusedError) as refused:
        plan.refuse_conflicts()
    assert "--adopt broker/stream/a" in refused.value.hint
    assert text([stream("a", {"color": 1})], [foreign], {foreign.id}) == "update broker/stream/a: taken over"


def test_data_loss_is_refused_by_name() -> None:
    plan = plan_of([], [stream("a", managed_by="p")])
    with pytest.raises(RefusedError, match="delete broker/stream/a loses its messages"):
        plan.refuse_data_loss(allowed=False)
    plan.refuse_data_loss(allowed=True)


def test_a_key_that_was_removed_from_a_nested_value_is_a_difference() -> None:
    assert differences({"settings": {"a": 1, "b": 2}}, {"settings": {"a": 1}})
    assert not differences({"settings": {"a": 1}, "b": 2}, {"settings": {"a": 1}})


specs = st.fixed_dictionaries({"color": st.integers(0, 1), "shape": st.integers(0, 1)})


@given(
    desired=st.dictionaries(st.sampled_from("abc"), specs),
    observed=st.dictionaries(st.sampled_from("abc"), st.tuples(specs, st.sampled_from(["p", "q", ""]))),
)
def test_the_same_input_gives_the_same_plan_and_touches_nothing_foreign(
    desired: dict[str, dict[str, int]], observed: dict[str, tuple[dict[str, int], str]]
) -> None:
    wanted = [stream(name, spec) for name, spec in desired.items()]
    live = [stream(name, spec, managed_by=owner) for name, (spec, owner) in observed.items()]
    plan = plan_of(wanted, live)
    assert plan == plan_of(wanted[::-1], live[::-1])
    foreign = {name for name, (_, owner) in observed.items() if owner != "p"}
    assert not {change.id.name for change in plan.changes} & foreign
