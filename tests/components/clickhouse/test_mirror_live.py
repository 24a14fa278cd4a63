"""A table that is kept equal to a view, in the real engine: what a reader sees is what the view had, whole changes."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.components.clickhouse.server_process import start_clickhouse
from tests.components.clickhouse.stack import Stack, connected, table
from tests.components.mirroring import (
    NAMES,
    START,
    assert_readers_see_whole_changes,
    changes,
    columns,
    kill_while_it_writes,
    route_to,
    row,
    snapshot,
)

from thedata_cli.component_api.routes import ViewRoute
from thedata_cli.component_api.views import ViewChange, ViewChanges
from thedata_cli.errors import StatementRejectedError
from thedata_cli.plan.changes import Step

pytestmark = pytest.mark.live

UTC = datetime.UTC
COLUMNS = [
    {"name": "hour", "type": "DateTime64(6, 'UTC')"},
    {"name": "carrier", "type": "LowCardinality(String)"},
    {"name": "departures", "type": "Int64"},
    {"name": "late", "type": "Nullable(Int64)"},
]
ROUTE = route_to("clickhouse", "hour", "carrier")


async def declare(stack: Stack, route: ViewRoute = ROUTE, **values: Any) -> None:
    stack.view_routes = (route,)
    await stack.apply(table("delays", **{"columns": COLUMNS} | values))


async def shown(stack: Stack) -> list[tuple[Any, ...]]:
    return await stack.rows("SELECT hour, carrier, departures, late FROM delays FINAL ORDER BY departures")


async def test_a_table_shows_what_its_view_has(stack: Stack) -> None:
    await declare(stack)
    assert (await stack.plan(table("delays", columns=COLUMNS))).changes == ()
    async with stack.live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        await writer.write(snapshot(1_000))
        assert await shown(stack) == []
        await writer.write(changes(2_000, row(1, 10, 1), row(2, 20), row(3, 30, 3)))
        await writer.write(changes(3_000, row(1, 11, None), gone=[(*row(2, 0)[:2], None, None)]))
        assert await shown(stack) == [row(1, 11, None), row(3, 30, 3)]
        await writer.write(changes(4_000, row(2, 21)))
        assert await shown(stack) == [row(1, 11, None), row(2, 21), row(3, 30, 3)]
        # Nothing that was there before goes when the view goes empty but by a snapshot of it.
        await writer.write(changes(5_000))
        assert await stack.live.mirrored_rows("delays") == 3
        await writer.write(snapshot(6_000))
        assert await stack.live.mirrored_rows("delays") == 0


async def test_after_another_snapshot_rows_that_went_meanwhile_are_gone(stack: Stack) -> None:
    await declare(stack)
    async with stack.live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        await writer.write(snapshot(9_000, *(row(number, number) for number in range(1_000))))
    # Somebody's own row, which the view never had.
    await stack.rows("INSERT INTO delays (hour, carrier, departures) VALUES ('1999-12-31', 'ZZ', 5000)")
    # The clock of the view's server has gone back.
    again = snapshot(1_000, *(row(number, 10_000 + number) for number in range(500, 1_500)))
    for _ in range(2):
        async with stack.live.open_mirror(ROUTE, columns(*NAMES)) as writer:
            await writer.write(again)
            assert await shown(stack) == [change.values for change in again.changes]
            await writer.write(again)
            assert await shown(stack) == [change.values for change in again.changes]
    assert await stack.rows("SELECT max(_version) FROM delays") == [(9_004,)]


async def test_the_order_of_columns_and_columns_of_the_table_alone_do_not_matter(stack: Stack) -> None:
    own = [{"name": "note", "type": "String", "default": "upper(carrier)"}, {"name": "x", "type": "Nullable(Int8)"}]
    await declare(stack, columns=[*own, *reversed(COLUMNS)], order_by=["carrier", "hour"])
    async with stack.live.open_mirror(ROUTE, columns("late", "carrier", "departures", "hour")) as writer:
        await writer.write(snapshot(1_000, (1, "ua", 2, START), (None, "aa", 4, START)))
        await writer.write(ViewChanges(2_000, [ViewChange((None, "ua", None, START), -1)]))
        await writer.write(snapshot(3_000, (None, "b6", 6, START), (None, "aa", 4, START)))
    rows = await stack.rows("SELECT carrier, departures, note, x FROM delays FINAL ORDER BY carrier")
    assert rows == [("aa", 4, "AA", None), ("b6", 6, "B6", None)]


async def test_a_reader_sees_whole_changes_only(stack: Stack) -> None:
    await declare(stack)
    totals = "SELECT min(late), max(late), count(), sum(departures) FROM delays FINAL"
    async with stack.live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        await assert_readers_see_whole_changes(writer, lambda: stack.rows(totals))


EVERY_TYPE: list[tuple[str, Any, Any]] = [
    ("Int64", 2**63 - 1, 2**63 - 1),
    ("Int64", Decimal("12.000"), 12),
    ("UInt8", True, 1),
    ("Int256", -(2**200), -(2**200)),
    ("UInt128", Decimal(2**100), 2**100),
    ("Int32", datetime.timedelta(minutes=2), 120),
    ("Float64", float("inf"), float("inf")),
    ("Float64", -1.7976931348623157e308, -1.7976931348623157e308),
    ("Float32", Decimal("0.5"), 0.5),
    ("Nullable(Float64)", None, None),
    ("Decimal(10, 2)", Decimal("99999999.994"), Decimal("99999999.99")),
    ("Decimal(38, 10)", Decimal("-1.00000000005"), Decimal("-1.0000000001")),
    ("Decimal(76, 0)", 10**75, Decimal(10**75)),
    ("Bool", False, False),
    ("String", "'\"\\`\n\t\x00 Zürich 🛫", "'\"\\`\n\t\x00 Zürich 🛫"),
    ("String", b"\x00\"\\\x1f text", "\x00\"\\\x1f text"),
    ("String", {"a": [1, None, {"b": Decimal("1.50")}]}, '{"a":[1,null,{"b":1.50}]}'),
    ("String", [datetime.date(2013, 1, 1), uuid.UUID(int=1)], '["2013-01-01","00000000-0000-0000-0000-000000000001"]'),
    ("String", datetime.timedelta(days=1, seconds=1), "24:00:01"),
    ("String", datetime.time(1, 2, 3), "01:02:03"),
    ("String", True, "true"),
    ("String", Decimal("1E+3"), "1000"),
    ("LowCardinality(Nullable(String))", None, None),
    ("FixedString(4)", "Zür", "Zür"),
    ("Enum8('a' = 1, 'b' = 2)", "b", "b"),
    ("UUID", uuid.UUID(int=2**127 + 5), uuid.UUID(int=2**127 + 5)),
    ("UUID", "00000000-0000-0000-0000-00000000000A", uuid.UUID(int=10)),
    ("Date", datetime.date(2149, 6, 6), datetime.date(2149, 6, 6)),
    ("Date32", datetime.date(1969, 12, 31), datetime.date(1969, 12, 31)),
    ("Date32", START + datetime.timedelta(hours=5), datetime.date(2013, 1, 1)),
    ("DateTime('UTC')", datetime.datetime(2013, 1, 1, 5, 30), datetime.datetime(2013, 1, 1, 5, 30, tzinfo=UTC)),
    (
        "DateTime64(6, 'Asia/Tokyo')",
        datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, datetime.timezone(datetime.timedelta(hours=-5))),
        datetime.datetime(1970, 1, 1, 4, 59, 59, 999999, UTC),
    ),
    ("DateTime64(3, 'UTC')", datetime.date(2013, 1, 1), START),
    ("Array(Nullable(Int64))", [1, None], [1, None]),
    ("Map(String, Float64)", {"a": 1.5}, {"a": 1.5}),
    ("JSON", {"a": {"b": 1}}, {"a": {"b": 1}}),
    ("IPv4", "10.0.0.1", "10.0.0.1"),
    ("Time64(6)", datetime.time(1, 2, 3, 4), "01:02:03.000004"),
]  # fmt: skip


async def test_every_type_arrives_and_a_deletion_has_values_that_can_be_read(stack: Stack) -> None:
    names = [f"c{number}" for number in range(len(EVERY_TYPE))]
    typed = [{"name": name, "type": each[0]} for name, each in zip(names, EVERY_TYPE, strict=True)]
    await declare(stack, route_to("clickhouse", "id"), columns=[{"name": "id", "type": "Int64"}, *typed])
    values = [value for _, value, _ in EVERY_TYPE]
    async with stack.live.open_mirror(route_to("clickhouse", "id"), columns("id", *names)) as writer:
        await writer.write(snapshot(1, (1, *values), (2, *values)))
        await writer.write(ViewChanges(2, [ViewChange((2, *[None] * len(values)), -1)]))
        await writer.write(changes(3, (3, *values)))
        await writer.write(snapshot(4, (1, *values)))
    (found,) = await stack.rows(f"SELECT {', '.join(names)} FROM delays FINAL")
    for (type_name, value, expected), stored in zip(EVERY_TYPE, found, strict=True):
        same = str(stored) if type_name in ("IPv4", "Time64(6)") else stored
        assert same == expected, (type_name, value)
    assert len(await stack.rows("SELECT * FROM delays")) >= 2


KEYS: list[tuple[str, list[Any]]] = [
    ("Int64", [1, Decimal(2), -(2**63)]),
    ("UInt256", [2**255, 1, 2]),
    ("Bool", [True, False]),
    ("String", ["", "a", b"bytes", "\x00", "null", "Zürich"]),
    ("LowCardinality(String)", ["a", "A"]),
    ("FixedString(3)", ["ab", "abc", ""]),
    ("Enum16('x' = 1, 'y' = 300)", ["x", "y"]),
    ("UUID", [uuid.UUID(int=1), str(uuid.UUID(int=0xABCD)).upper()]),
    ("Date", [datetime.date(2013, 1, 1), START + datetime.timedelta(days=1)]),
    ("Date32", [datetime.date(1900, 1, 1), datetime.date(2299, 12, 31)]),
    ("DateTime", [START, datetime.datetime(2013, 1, 1, 1)]),
    ("DateTime64(3, 'America/New_York')", [START, START + datetime.timedelta(milliseconds=1)]),
    ("DateTime64(9)", [START, START + datetime.timedelta(microseconds=1)]),
    ("Decimal(12, 3)", [Decimal("1.5"), 2, Decimal("-0.001"), 0.25]),
    ("IPv4", ["1.2.3.4", "10.0.0.1"]),
    ("IPv6", ["::1", "2001:DB8::1"]),
]


async def test_keys_of_every_type_are_compared_as_the_server_holds_them(stack: Stack) -> None:
    for type_name, keys in KEYS:
        key = route_to("clickhouse", "k")
        await declare(stack, key, columns=[{"name": "k", "type": type_name}, {"name": "n", "type": "Int64"}])
        async with stack.live.open_mirror(key, columns("k", "n")) as writer:
            await writer.write(snapshot(1_000, *((value, number) for number, value in enumerate(keys))))
            assert await stack.live.mirrored_rows("delays") == len(keys), type_name
            # All of them again: a key that is not found would be taken for one that is gone.
            await writer.write(snapshot(1_001, *((value, number) for number, value in enumerate(keys, 100))))
            assert await stack.rows("SELECT n FROM delays FINAL ORDER BY n") == [
                (number,) for number in range(100, 100 + len(keys))
            ], type_name
            await writer.write(ViewChanges(1_002, [ViewChange((keys[0], None), -1)]))
            assert await stack.rows("SELECT n FROM delays FINAL ORDER BY n") == [
                (number,) for number in range(101, 100 + len(keys))
            ], type_name
            await writer.write(snapshot(1_003, (keys[0], 7)))
            assert await stack.rows("SELECT n FROM delays FINAL") == [(7,)], type_name
        await stack.rows("DROP TABLE delays")


async def test_a_row_of_another_that_is_finer_than_any_of_the_view_goes(stack: Stack) -> None:
    key = route_to("clickhouse", "k")
    await declare(stack, key, columns=[{"name": "k", "type": "DateTime64(9, 'UTC')"}])
    await stack.rows("INSERT INTO delays (k) VALUES ('2013-01-01 00:00:00.000000001')")
    async with stack.live.open_mirror(key, columns("k")) as writer:
        await writer.write(snapshot(1, (START,)))
    assert await stack.rows("SELECT toUnixTimestamp64Nano(k) % 1000 FROM delays FINAL") == [(0,)]


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("UInt8", 256, "n: 256 does not fit UInt8, in the row with k = 7"),
        ("Int64", 1.5, "n: 1.5 does not fit Int64, in the row with k = 7"),
        ("Int64", float("nan"), "n: nan does not fit Int64"),
        ("Int64", "1", "n: 1 does not fit Int64"),
        ("Int64", None, "n: null does not fit Int64, in the row with k = 7"),
        ("Decimal(4, 2)", Decimal("99.995"), "n: 99.995 does not fit Decimal(4, 2)"),
        ("Decimal(4, 2)", Decimal("NaN"), "n: NaN does not fit"),
        ("Float32", 1e39, "n: 1e+39 does not fit Float32"),
        ("Float64", Decimal(10) ** 400, "does not fit Float64"),
        ("DateTime", datetime.datetime(1969, 1, 1, tzinfo=UTC), "n: 1969-01-01 00:00:00+00:00 does not fit DateTime"),
        ("Date", datetime.date(2150, 1, 1), "n: 2150-01-01 does not fit Date, in the row with k = 7"),
        ("UUID", "no uuid", "n: no uuid does not fit UUID"),
        ("Bool", 2, "n: 2 does not fit Bool"),
        ("FixedString(2)", "Zür", "n: Zür does not fit FixedString(2)"),
        ("IPv4", "1.2.3.256", "n: 1.2.3.256 does not fit IPv4"),
        (
            "Enum8('a' = 1)",
            "z",
            "Unknown element 'z' for enum, maybe you meant: ['a']: (while reading the value of key n)",
        ),
        ("Array(Int64)", ["x"], "in the row with k = 7"),
    ],
)
async def test_a_value_that_does_not_fit_is_named_with_its_row_and_nothing_is_written(
    stack: Stack, type_name: str, value: Any, expected: str
) -> None:
    fitting: dict[str, Any] = {
        "UUID": uuid.UUID(int=1), "Bool": True, "FixedString(2)": "a", "IPv4": "1.1.1.1", "Enum8('a' = 1)": "a",
        "Array(Int64)": [1], "DateTime": START, "Date": datetime.date(2013, 1, 1),
    }  # fmt: skip
    key = route_to("clickhouse", "k")
    await declare(stack, key, columns=[{"name": "k", "type": "Int64"}, {"name": "n", "type": type_name}])
    good = fitting.get(type_name, 1)
    async with stack.live.open_mirror(key, columns("k", "n")) as writer:
        with pytest.raises(StatementRejectedError) as raised:
            await writer.write(snapshot(1, *((number, value if number == 7 else good) for number in range(20))))
        assert expected in raised.value.message, raised.value.message
        assert "delays" in raised.value.message
        assert await stack.live.mirrored_rows("delays") == 0
        await writer.write(snapshot(1, (7, good)))
    assert await stack.live.mirrored_rows("delays") == 1


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("DateTime", START + datetime.timedelta(microseconds=1)),
        ("DateTime64(3)", START + datetime.timedelta(microseconds=1)),
        ("Date", START + datetime.timedelta(hours=1)),
        ("Decimal(10, 2)", Decimal("1.005")),
        ("String", b"\xff"),
    ],
)
async def test_a_key_is_never_rounded(stack: Stack, type_name: str, value: Any) -> None:
    key = route_to("clickhouse", "k")
    await declare(stack, key, columns=[{"name": "k", "type": type_name}])
    async with stack.live.open_mirror(key, columns("k")) as writer:
        with pytest.raises(StatementRejectedError, match="does not fit"):
            await writer.write(snapshot(1, (value,)))


async def test_a_key_that_comes_twice_is_refused(stack: Stack) -> None:
    key = route_to("clickhouse", "k")
    await declare(stack, key, columns=[{"name": "k", "type": "UUID"}, {"name": "n", "type": "Int64"}])
    text = str(uuid.UUID(int=0xA))
    async with stack.live.open_mirror(key, columns("k", "n")) as writer:
        with pytest.raises(StatementRejectedError, match=f"the row with k = {text} twice"):
            await writer.write(snapshot(1, (text, 1), (text.upper(), 2)))


async def test_a_missing_table_and_missing_columns_are_told_with_the_way_out(stack: Stack) -> None:
    with pytest.raises(StatementRejectedError, match="does not exist") as raised:
        async with stack.live.open_mirror(ROUTE, columns(*NAMES)):
            pass
    assert "thedata apply" in raised.value.hint
    with pytest.raises(StatementRejectedError):
        await stack.live.mirrored_rows("delays")
    await declare(stack)
    with pytest.raises(StatementRejectedError, match="no column 'cancelled'") as raised:
        async with stack.live.open_mirror(ROUTE, columns(*NAMES, "cancelled")):
            pass
    assert "declare cancelled" in raised.value.hint
    async with stack.live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        await stack.rows("ALTER TABLE delays DROP COLUMN late")
        with pytest.raises(StatementRejectedError, match="late"):
            await writer.write(snapshot(1, row(1, 1)))
        await stack.rows("DROP TABLE delays")
        with pytest.raises(StatementRejectedError, match="delays"):
            await writer.write(changes(2, row(1, 1)))


async def test_a_table_that_is_made_anew_meanwhile_is_not_taken_for_the_old_one(stack: Stack) -> None:
    await declare(stack)
    async with stack.live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        await writer.write(snapshot(1, row(1, 1), row(2, 2)))
        await stack.rows("DROP TABLE delays")
        await declare(stack)
        with pytest.raises(StatementRejectedError, match="made anew"):
            await writer.write(changes(2, row(3, 3)))
    async with stack.live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        await writer.write(snapshot(3, row(1, 1), row(2, 2), row(3, 3)))
    assert await stack.live.mirrored_rows("delays") == 3


@pytest.mark.parametrize(
    "clauses",
    [
        "ENGINE = MergeTree ORDER BY (hour, carrier)",
        "ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY hour",
        "ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY (hour, carrier) PARTITION BY toYYYYMM(hour)",
    ],
)
async def test_a_table_of_another_shape_is_refused(stack: Stack, clauses: str) -> None:
    await stack.live.execute(Step(f"CREATE DATABASE {stack.database}"))
    await stack.rows(
        "CREATE TABLE delays (hour DateTime64(6, 'UTC'), carrier String, departures Int64, late Nullable(Int64), "
        f"_version UInt64, _deleted UInt8) {clauses}"
    )
    with pytest.raises(StatementRejectedError, match="cannot be kept equal to a view") as raised:
        async with stack.live.open_mirror(ROUTE, columns(*NAMES)):
            pass
    assert "thedata apply" in raised.value.hint


async def test_a_large_snapshot_is_one_part(stack: Stack) -> None:
    """The server cuts an insert into blocks of about a million rows unless it is told not to."""
    key = route_to("clickhouse", "k")
    await declare(stack, key, columns=[{"name": "k", "type": "Int64"}])
    async with stack.live.open_mirror(key, columns("k")) as writer:
        await writer.write(snapshot(1, *((number,) for number in range(1_050_000))))
    parts = f"SELECT count() FROM system.parts WHERE active AND database = '{stack.database}' AND table = 'delays'"
    assert await stack.rows(parts) == [(1,)]
    assert await stack.live.mirrored_rows("delays") == 1_050_000


async def test_a_server_killed_in_the_middle_of_a_write_shows_all_or_nothing_and_takes_it_again(tmp_path: Path) -> None:
    before = snapshot(1_000, *(row(number, 1, 1) for number in range(20_000)))
    after = changes(2_000, *(row(number, 2, 2) for number in range(20_000)))
    for delay_s in (0.02, 0.08, None):
        server = start_clickhouse(tmp_path / "data")
        try:
            async with connected(server, database="flights") as stack:
                await declare(stack)
                seen = await stack.rows(
                    "SELECT uniqExact(late) < 2, sum(departures) / 20000 IN (0, 1, 2) FROM delays FINAL"
                )
                assert seen == [(True, True)]
                async with stack.live.open_mirror(ROUTE, columns(*NAMES)) as writer:
                    await writer.write(after)
                    assert await stack.rows("SELECT count(), sum(departures) FROM delays FINAL") == [(20_000, 40_000)]
                    await writer.write(before)
                    if delay_s is not None:
                        await kill_while_it_writes(writer, after, server.process, delay_s)
        finally:
            server.process.kill()
            server.process.wait()


async def test_rows_that_are_gone_can_be_cleared_away(stack: Stack) -> None:
    await declare(stack, settings={"allow_experimental_replacing_merge_with_cleanup": True})
    async with stack.live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        await writer.write(snapshot(1, *(row(number, number) for number in range(100))))
        await writer.write(snapshot(2, row(1, 1)))
        await stack.rows("OPTIMIZE TABLE delays FINAL CLEANUP")
        assert await stack.rows("SELECT count() FROM delays") == [(1,)]
        await writer.write(changes(3, row(2, 2)))
    assert await shown(stack) == [row(1, 1), row(2, 2)]
