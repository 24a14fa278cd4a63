"""Changes of a view, line by line."""

from __future__ import annotations

import dataclasses
import datetime
import io
import json
import re
from decimal import Decimal

import pytest

from tests.output.samples import CHANGES, FOLLOWED, FOLLOWED_BY_KEY, console, printed
from thedata_cli.component_api.views import ViewChange, ViewChanges
from thedata_cli.output.view_changes import ChangeLines, FollowedView, PrettyChanges


def lines(view: FollowedView, changes: ViewChanges) -> list[dict[str, object]]:
    sink = io.BytesIO()
    ChangeLines(sink, view).print(changes)
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def test_row_by_row_each_change_says_how_many_copies_came_or_went() -> None:
    assert [(line["diff"], line["row"]) for line in lines(FOLLOWED, CHANGES)] == [
        (1, {"carrier": "AA", "hour": "2013-01-01T10:15:00Z", "late": 3}),
        (-2, {"carrier": "UA", "hour": "2013-01-01T10:15:00Z", "late": 1}),
    ]


def test_by_key_a_row_that_is_gone_has_only_its_key() -> None:
    upsert, delete = lines(FOLLOWED_BY_KEY, CHANGES)
    assert (upsert["operation"], delete["operation"]) == ("upsert", "delete")
    assert upsert["row"] == {"carrier": "AA", "hour": "2013-01-01T10:15:00Z", "late": 3}
    assert delete["key"] == {"carrier": "UA", "hour": "2013-01-01T10:15:00Z"}
    assert delete["row"] is None


def test_the_rows_of_the_view_as_it_is_are_marked() -> None:
    snapshot = dataclasses.replace(CHANGES, is_snapshot=True)
    assert {line["is_snapshot"] for line in lines(FOLLOWED, CHANGES)} == {False}
    assert {line["is_snapshot"] for line in lines(FOLLOWED, snapshot)} == {True}


def test_values_are_written_as_in_rows_of_a_query() -> None:
    values = (Decimal("1.10"), float("nan"), [1, None], {"a": datetime.date(2013, 1, 1)}, None, 2**70)
    view = FollowedView("v", tuple("abcdef"))
    sink = io.BytesIO()
    ChangeLines(sink, view).print(ViewChanges(0, [ViewChange(values, 1)]))
    assert (
        b'"row":{"a":1.10,"b":null,"c":[1,null],"d":{"a":"2013-01-01"},"e":null,"f":1180591620717411303424}}'
        in sink.getvalue()
    )


def test_pretty_off_a_terminal_is_plain_text() -> None:
    target = console()
    PrettyChanges(target, FOLLOWED).print(CHANGES)
    PrettyChanges(target, FOLLOWED_BY_KEY).print(CHANGES)
    assert printed(target).splitlines() == [
        '2013-01-01T10:16:00.250Z  +  {"carrier":"AA","hour":"2013-01-01T10:15:00Z","late":3}',
        '2013-01-01T10:16:00.250Z  -2  {"carrier":"UA","hour":"2013-01-01T10:15:00Z","late":1}',
        '2013-01-01T10:16:00.250Z  upsert  {"carrier":"AA","hour":"2013-01-01T10:15:00Z","late":3}',
        '2013-01-01T10:16:00.250Z  delete  {"carrier":"UA","hour":"2013-01-01T10:15:00Z"}',
    ]


def test_pretty_on_a_terminal_is_green_or_red_and_says_the_same() -> None:
    target, plain = console(is_terminal=True), console()
    PrettyChanges(target, FOLLOWED).print(CHANGES)
    PrettyChanges(plain, FOLLOWED).print(CHANGES)
    assert "\x1b[32m+\x1b[0m" in printed(target)
    assert "\x1b[31m-2\x1b[0m" in printed(target)
    assert re.sub(r"\x1b\[\d+m", "", printed(target)) == printed(plain)


def test_without_colours_nothing_but_dimming_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    target = console(is_terminal=True)
    PrettyChanges(target, FOLLOWED).print(CHANGES)
    assert set(re.findall(r"\x1b\[[\d;]+m", printed(target))) == {"\x1b[2m", "\x1b[0m"}


def test_a_value_cannot_command_the_terminal() -> None:
    target = console(is_terminal=True)
    PrettyChanges(target, FollowedView("v", ("a",))).print(ViewChanges(0, [ViewChange(("\x1b[2J\x9b\n",), 1)]))
    assert "\x1b[2J" not in printed(target)
    assert "\x9b" not in printed(target)
    assert printed(target).count("\n") == 1


def test_times_without_changes_print_nothing() -> None:
    target = console()
    PrettyChanges(target, FOLLOWED).print(ViewChanges(1, []))
    assert printed(target) == ""
    assert lines(FOLLOWED, ViewChanges(1, [])) == []


def test_many_changes_are_written_and_flushed_in_parts() -> None:
    flushed: list[int] = []

    class Sink(io.BytesIO):
        def flush(self) -> None:
            flushed.append(self.getvalue().count(b"\n"))

    ChangeLines(Sink(), FollowedView("v", ("n",))).print(
        ViewChanges(0, [ViewChange((number,), 1) for number in range(2500)])
    )
    assert flushed == [1000, 2000, 2500]
