"""What is told of a view that changes faster than its consumer takes it; pure."""

from __future__ import annotations

from typing import Any

import pytest

from thedata_cli.component_api.views import ViewChange, ViewChanges
from thedata_cli.components.materialize import change_buffer
from thedata_cli.components.materialize.change_buffer import ChangeBuffer, DuplicateKeyError


def progress(time: int) -> tuple[Any, ...]:
    return (time, True, None, None, None)


def by_key(*rows: tuple[Any, ...], has_snapshot: bool = True) -> ChangeBuffer:
    """A view (value, id) that is followed by its id, which the server sends first."""
    buffer = ChangeBuffer(["value", "id"], ["id"], has_snapshot=has_snapshot)
    for row in rows:
        buffer.add(row)
    return buffer


def test_a_snapshot_is_complete_before_it_is_told() -> None:
    buffer = by_key(progress(5), (5, False, "upsert", 1, "a"), (5, False, "upsert", 2, "b"))
    assert buffer.take() is None
    buffer.add(progress(6))
    assert buffer.take() == ViewChanges(6, [ViewChange(("a", 1), 1), ViewChange(("b", 2), 1)], is_snapshot=True)
    assert buffer.take() is None


def test_an_empty_view_has_a_snapshot_too() -> None:
    assert by_key(progress(5), progress(6)).take() == ViewChanges(6, [], is_snapshot=True)


def test_a_snapshot_is_not_mixed_with_what_comes_after() -> None:
    buffer = by_key(progress(5), (5, False, "upsert", 1, "a"), progress(6), (6, False, "delete", 1, None), progress(7))
    assert buffer.take() == ViewChanges(6, [ViewChange(("a", 1), 1)], is_snapshot=True)
    assert buffer.take() == ViewChanges(7, [ViewChange((None, 1), -1)])


def test_without_a_snapshot_the_first_time_is_told_at_once() -> None:
    assert by_key(progress(5), has_snapshot=False).take() == ViewChanges(5, [])


def test_what_piles_up_is_the_last_change_of_each_key_in_order_of_time() -> None:
    buffer = by_key(
        (5, False, "upsert", 1, "a"), (5, False, "upsert", 2, "b"), progress(6),
        (6, False, "upsert", 1, "c"), progress(7), (7, False, "upsert", 3, "not whole"), has_snapshot=False,
    )  # fmt: skip
    assert buffer.take() == ViewChanges(7, [ViewChange(("b", 2), 1), ViewChange(("c", 1), 1)])


def test_keys_of_documents_are_told_apart() -> None:
    buffer = by_key((5, False, "upsert", {"a": 1}, "x"), (5, False, "upsert", {"a": 1}, "y"), has_snapshot=False)
    buffer.add(progress(6))
    assert buffer.take() == ViewChanges(6, [ViewChange(("y", {"a": 1}), 1)])


def test_row_by_row_everything_is_kept_in_order() -> None:
    buffer = ChangeBuffer(["a"], [], has_snapshot=False)
    for row in [(5, False, 2, "x"), (5, True, None, None), (6, False, -1, "x"), (7, True, None, None)]:
        buffer.add(row)
    assert buffer.take() == ViewChanges(7, [ViewChange(("x",), 2), ViewChange(("x",), -1)])


def test_two_rows_with_one_key_are_told() -> None:
    with pytest.raises(DuplicateKeyError) as raised:
        by_key((5, False, "key_violation", 1, None))
    assert raised.value.key == (1,)


def test_reading_stops_only_where_something_can_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_buffer, "MOST_ROWS", 2)
    buffer = ChangeBuffer(["a"], [], has_snapshot=True)
    for row in [(5, True, None, None), (5, False, 1, "x"), (5, False, 1, "y"), (5, False, 1, "z")]:
        buffer.add(row)
    assert not buffer.is_full
    buffer.add((6, True, None, None))
    assert buffer.is_full
    buffer.take()
    assert not buffer.is_full


def test_what_is_constant_is_told_for_ever() -> None:
    buffer = by_key(progress(5), (5, False, "upsert", 1, "a"))
    buffer.end(3)
    assert buffer.take() == ViewChanges(6, [ViewChange(("a", 1), 1)], is_snapshot=True)
    buffer.end(9)
    assert buffer.take() == ViewChanges(9, [])
