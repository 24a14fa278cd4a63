"""Tables for people, on a terminal and elsewhere."""

from __future__ import annotations

import asyncio
import re

from rich.cells import cell_len

from tests.output.samples import DELAYS, Result, console, printed
from thedata_cli.output.table import Listing, print_listing, print_table


def table(result: Result, *, width: int = 80, is_terminal: bool = False) -> str:
    target = console(width=width, is_terminal=is_terminal)
    asyncio.run(print_table(result, target))
    return printed(target)


def without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def test_off_a_terminal_nothing_is_drawn_coloured_or_cut() -> None:
    long = "x" * 150
    output = table(Result(("name", "count"), [("a", 1), (long, 22_222)]))
    header, first, second = output.splitlines()
    assert header == "name".ljust(150) + "  count"
    assert first == "a".ljust(150) + "      1"
    assert second == f"{long}  22222"


def test_on_a_terminal_long_texts_are_cut_and_numbers_are_not() -> None:
    output = without_styles(
        table(Result(("name", "count"), [("x" * 150, 12345678901234567890)]), width=40, is_terminal=True)
    )
    assert output.splitlines()[2] == "x" * 17 + "…" + "  12345678901234567890"


def test_no_line_is_wider_than_the_terminal() -> None:
    rows = [("日本語テキスト" * 5, "e\u0301" * 40, "plain " * 20, 1.5)]
    for width in (40, 60, 79, 80):
        lines = without_styles(table(Result(("a", "b", "c", "d"), rows), width=width, is_terminal=True)).splitlines()
        assert max(map(cell_len, lines)) <= width


def test_what_does_not_fit_is_shown_row_by_row() -> None:
    names = [f"column_{index}" for index in range(12)]
    output = without_styles(table(Result(names, [tuple("v" * 20 for _ in names)] * 2), width=60, is_terminal=True))
    lines = output.splitlines()
    assert lines[0].startswith("─ row 1 ─")
    assert lines[1] == "column_0   " + "v" * 20
    assert lines[13].startswith("─ row 2 ─")


def test_null_is_dim_on_a_terminal_and_told_from_the_word() -> None:
    output = table(Result(("a",), [(None,), ("NULL",)]), is_terminal=True)
    assert output.splitlines()[2:] == ["\x1b[2mNULL\x1b[0m", "NULL"]
    assert table(Result(("a",), [(None,)])) == "a\nNULL\n"


def test_a_value_cannot_move_the_cursor_or_change_colours() -> None:
    output = table(Result(("a\x1b[2J",), [("red \x1b[31m\nnext\u202e",)]), is_terminal=True)
    assert without_styles(output).splitlines()[2] == "red \\x1b[31m\\nnext\\u202e"
    assert "\x1b[31m" not in output
    assert "\x1b[2J" not in output


def test_later_blocks_keep_the_columns_of_the_first() -> None:
    result = Result(("name", "n"), [("aaaa", 1), ("b", 2), ("c", 3)], block=1)
    assert table(result) == "name  n\naaaa  1\nb     2\nc     3\n"


def test_a_result_without_rows_shows_its_columns() -> None:
    assert table(Result(("a", "b"), [])) == "a  b\n"
    assert table(Result((), [])) == ""


def test_values_look_the_same_in_a_table() -> None:
    assert table(DELAYS).splitlines()[2].split()[:2] == ["AA", "2013-01-01T11:15:00Z"]


def test_a_listing_aligns_numbers_and_shows_what_is_missing() -> None:
    target = console()
    print_listing(target, Listing(("NAME", "LAG"), [("a", "5"), ("long", None)], frozenset({"LAG"})))
    assert printed(target) == "NAME  LAG\na       5\nlong    -\n"
