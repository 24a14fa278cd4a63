"""A table that is kept equal to a view, in the real server: what a reader sees is what the view had, whole changes."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
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
from tests.components.questdb.cases import COMPONENT, apply, plan_of, project, run, table
from tests.components.questdb_process import QuestDBServer, running_questdb

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.routes import ViewRoute
from thedata_cli.component_api.views import ViewChange, ViewChanges
from thedata_cli.components.questdb.live import QuestDBLive
from thedata_cli.errors import StatementRejectedError
from thedata_cli.plan.changes import Step

pytestmark = pytest.mark.live

UTC = datetime.UTC
HOUR = {"name": "hour", "type": "TIMESTAMP"}
COLUMNS = [
    HOUR, {"name": "carrier", "type": "SYMBOL"}, {"name": "departures", "type": "LONG"},
    {"name": "late", "type": "INT"},
]  # fmt: skip
ROUTE = route_to("questdb", "hour", "carrier")


def declared(route: ViewRoute = ROUTE, **attributes: Any) -> ProjectView:
    values = {"columns": COLUMNS, "timestamp": "hour", "partition_by": "day"} | attributes
    return project(table("delays", **values), view_routes=[route])


async def shown(live: QuestDBLive) -> list[tuple[Any, ...]]:
    return await run(live, "SELECT hour, carrier, departures, late FROM delays WHERE NOT _deleted ORDER BY departures")


async def test_a_table_shows_what_its_view_has(live: QuestDBLive) -> None:
    await apply(live, declared())
    assert (await plan_of(live, declared())).changes == ()
    async with live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        await writer.write(snapshot(1_000))
        assert await shown(live) == []
        await writer.write(changes(2_000, row(1, 10, 1), row(2, 20), row(3, 30, 3)))
        await writer.write(changes(3_000, row(1, 11, None), gone=[(*row(2, 0)[:2], None, None)]))
        assert await shown(live) == [row(1, 11, None), row(3, 30, 3)]
        await writer.write(changes(4_000, row(2, 21)))
        assert await shown(live) == [row(1, 11, None), row(2, 21), row(3, 30, 3)]
        await writer.write(changes(5_000))
        assert await live.mirrored_rows("delays") == 3
        await writer.write(snapshot(6_000))
        assert await live.mirrored_rows("delays") == 0
    assert await run(live, "SELECT max(_version) FROM delays") == [(6_000,)]


async def test_after_another_snapshot_rows_that_went_meanwhile_are_gone(live: QuestDBLive) -> None:
    await apply(live, declared())
    async with live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        await writer.write(snapshot(9_000, *(row(number, number) for number in range(1_000))))
    # Somebody's own row, which the view never had.
    await run(live, "INSERT INTO delays (hour, carrier, departures) VALUES ('1999-12-31', 'ZZ', 5000)")
    # The clock of the view's server has gone back.
    again = snapshot(1_000, *(row(number, 10_000 + number) for number in range(500, 1_500)))
    for _ in range(2):
        async with live.open_mirror(ROUTE, columns(*NAMES)) as writer:
            await writer.write(again)
            assert await shown(live) == [change.values for change in again.changes]
            await writer.write(again)
            assert await shown(live) == [change.values for change in again.changes]
    assert await run(live, "SELECT max(_version), count() FROM delays") == [(9_004, 1_501)]


async def test_the_order_of_columns_and_columns_of_the_table_alone_do_not_matter(live: QuestDBLive) -> None:
    own = [{"name": "note", "type": "VARCHAR"}, {"name": "blob", "type": "BINARY"}]
    await apply(live, declared(columns=[*own, *reversed(COLUMNS)]))
    async with live.open_mirror(ROUTE, columns("late", "carrier", "departures", "hour")) as writer:
        await writer.write(snapshot(1_000, (1, "ua", 2, START), (None, "aa", 4, START)))
        await writer.write(ViewChanges(2_000, [ViewChange((None, "ua", None, START), -1)]))
        await writer.write(snapshot(3_000, (None, "b6", 6, START), (None, "aa", 4, START)))
    found = await run(live, "SELECT carrier, departures, note FROM delays WHERE NOT _deleted ORDER BY carrier")
    assert found == [("aa", 4, None), ("b6", 6, None)]


async def test_a_reader_sees_whole_changes_only(live: QuestDBLive, server: QuestDBServer) -> None:
    await apply(live, declared())
    totals = "SELECT min(late), max(late), count(), sum(departures) FROM delays WHERE NOT _deleted"
    async with (
        COMPONENT.connect(server.endpoint, "flights") as reader,
        live.open_mirror(ROUTE, columns(*NAMES)) as writer,
    ):
        await assert_readers_see_whole_changes(writer, lambda: run(cast(QuestDBLive, reader), totals))


EVERY_TYPE: list[tuple[str, Any, Any]] = [
    ("LONG", 2**63 - 1, 2**63 - 1),
    ("LONG", Decimal("12.000"), 12),
    ("LONG", None, None),
    ("INT", datetime.timedelta(minutes=2), 120),
    ("SHORT", True, 1),
    ("BYTE", -128, -128),
    ("DOUBLE", -1.7976931348623157e308, -1.7976931348623157e308),
    ("DOUBLE", float("nan"), None),
    ("DOUBLE", float("inf"), None),
    ("DOUBLE", Decimal("0.1"), 0.1),
    ("DOUBLE", 7, 7.0),
    ("FLOAT", 0.5, 0.5),
    ("DECIMAL(10,2)", Decimal("99999999.994"), Decimal("99999999.99")),
    ("DECIMAL(38,10)", Decimal("-1.00000000005"), Decimal("-1.0000000001")),
    ("DECIMAL(4,1)", 5, Decimal("5.0")),
    ("DECIMAL(4,1)", None, None),
    ("BOOLEAN", True, True),
    ("VARCHAR", "'\"\\`\n\t Zürich 🛫", "'\"\\`\n\t Zürich 🛫"),
    ("VARCHAR", "", ""),
    ("VARCHAR", None, None),
    ("STRING", b"\"\\ text", "\"\\ text"),
    ("VARCHAR", {"a": [1, None, {"b": Decimal("1.50")}]}, '{"a":[1,null,{"b":1.50}]}'),
    ("VARCHAR", [datetime.date(2013, 1, 1), uuid.UUID(int=1)], '["2013-01-01","00000000-0000-0000-0000-000000000001"]'),
    ("VARCHAR", datetime.timedelta(days=1, seconds=1), "24:00:01"),
    ("VARCHAR", datetime.time(1, 2, 3), "01:02:03"),
    ("SYMBOL", True, "true"),
    ("SYMBOL", Decimal("1E+3"), "1000"),
    ("CHAR", "x", "x"),
    ("UUID", uuid.UUID(int=2**127 + 5), uuid.UUID(int=2**127 + 5)),
    ("UUID", "00000000-0000-0000-0000-00000000000A", uuid.UUID(int=10)),
    ("IPv4", "10.0.0.1", "10.0.0.1"),
    ("DATE", datetime.date(1969, 12, 31), datetime.datetime(1969, 12, 31, tzinfo=UTC)),
    ("DATE", START + datetime.timedelta(microseconds=1001), START + datetime.timedelta(milliseconds=1)),
    ("TIMESTAMP", datetime.datetime(2013, 1, 1, 5, 30), datetime.datetime(2013, 1, 1, 5, 30, tzinfo=UTC)),
    (
        "TIMESTAMP",
        datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, datetime.timezone(datetime.timedelta(hours=-5))),
        datetime.datetime(1970, 1, 1, 4, 59, 59, 999999, UTC),
    ),
    ("TIMESTAMP_NS", START + datetime.timedelta(microseconds=7), START + datetime.timedelta(microseconds=7)),
]  # fmt: skip


async def test_every_type_arrives(live: QuestDBLive) -> None:
    names = [f"c{number}" for number in range(len(EVERY_TYPE))]
    typed = [{"name": name, "type": each[0]} for name, each in zip(names, EVERY_TYPE, strict=True)]
    key = route_to("questdb", "hour")
    await apply(live, declared(key, columns=[HOUR, *typed]))
    values = [value for _, value, _ in EVERY_TYPE]
    hours = [START + datetime.timedelta(hours=number) for number in range(3)]
    async with live.open_mirror(key, columns("hour", *names)) as writer:
        await writer.write(snapshot(1, (hours[0], *values), (hours[1], *values)))
        await writer.write(ViewChanges(2, [ViewChange((hours[1], *[None] * len(values)), -1)]))
        await writer.write(changes(3, (hours[2], *values)))
        await writer.write(snapshot(4, (hours[0], *values)))
    (found,) = await run(live, f"SELECT {', '.join(names)} FROM delays WHERE NOT _deleted")
    for (type_name, value, expected), stored in zip(EVERY_TYPE, found, strict=True):
        assert stored == expected, (type_name, value)
    assert len(await run(live, "SELECT * FROM delays")) == 3


KEYS: list[tuple[str, list[Any]]] = [
    ("LONG", [1, Decimal(2), -(2**63) + 1, None]),
    ("BYTE", [-128, 127]),
    ("BOOLEAN", [True, False]),
    ("SYMBOL", ["", "a", b"bytes", "null", "Zürich", None]),
    ("VARCHAR", ["", "a", "x" * 300, None]),
    ("STRING", ["", "a", None]),
    ("CHAR", ["a", "b"]),
    ("UUID", [uuid.UUID(int=1), str(uuid.UUID(int=0xABCD)).upper(), None]),
    ("DATE", [datetime.date(2013, 1, 1), START + datetime.timedelta(milliseconds=1), datetime.date(1900, 1, 1), None]),
    ("TIMESTAMP", [START, datetime.datetime(2013, 1, 1, 0, 0, 0, 1), datetime.datetime(1900, 1, 1), None]),
    ("DECIMAL(12,3)", [Decimal("1.5"), 2, Decimal("-0.001"), 0.25, None]),
    ("IPv4", ["1.2.3.4", "10.0.0.1", None]),
]


async def test_keys_of_every_type_are_compared_as_the_server_holds_them(live: QuestDBLive) -> None:
    key = route_to("questdb", "hour", "k")
    numbers = "SELECT n FROM delays WHERE NOT _deleted ORDER BY n"
    for type_name, keys in KEYS:
        await apply(live, declared(key, columns=[HOUR, {"name": "k", "type": type_name}, {"name": "n", "type": "INT"}]))
        async with live.open_mirror(key, columns("hour", "k", "n")) as writer:
            await writer.write(snapshot(1_000, *((START, value, number) for number, value in enumerate(keys))))
            assert await live.mirrored_rows("delays") == len(keys), type_name
            # All of them again: a key that is not found would be taken for one that is gone.
            await writer.write(snapshot(1_001, *((START, value, number) for number, value in enumerate(keys, 100))))
            assert await run(live, numbers) == [(number,) for number in range(100, 100 + len(keys))], type_name
            await writer.write(ViewChanges(1_002, [ViewChange((START, keys[0], None), -1)]))
            assert await run(live, numbers) == [(number,) for number in range(101, 100 + len(keys))], type_name
            await writer.write(snapshot(1_003, (START, keys[-1], 7)))
            assert await run(live, numbers) == [(7,)], type_name
            assert await run(live, "SELECT count() FROM delays") == [(len(keys),)], type_name
        await live.execute(Step("DROP TABLE delays"))


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("INT", -(2**31), "n: -2147483648 does not fit INT, in the row with hour = 2013-01-01 07:00:00+00:00"),
        ("BYTE", 128, "n: 128 does not fit BYTE, in the row with"),
        ("BYTE", None, "n: null does not fit BYTE"),
        ("BOOLEAN", None, "n: null does not fit BOOLEAN"),
        ("LONG", 1.5, "n: 1.5 does not fit LONG"),
        ("LONG", 2**63, "does not fit LONG"),
        ("LONG", float("nan"), "n: nan does not fit LONG"),
        ("FLOAT", 1e39, "n: 1e+39 does not fit FLOAT"),
        ("DECIMAL(4,2)", Decimal("99.995"), "n: 99.995 does not fit DECIMAL(4,2)"),
        ("UUID", "no uuid", "n: no uuid does not fit UUID"),
        ("IPv4", "0.0.0.0", "n: 0.0.0.0 does not fit IPv4"),
        ("CHAR", "ü", "n: ü does not fit CHAR"),
        ("VARCHAR", b"\xff", "does not fit VARCHAR"),
        ("TIMESTAMP_NS", datetime.datetime(1600, 1, 1, tzinfo=UTC), "does not fit TIMESTAMP_NS"),
    ],
)
async def test_a_value_that_does_not_fit_is_named_with_its_row_and_nothing_is_written(
    live: QuestDBLive, type_name: str, value: Any, expected: str
) -> None:
    fitting: dict[str, Any] = {
        "UUID": uuid.UUID(int=1), "BOOLEAN": True, "IPv4": "1.1.1.1", "CHAR": "a", "VARCHAR": "a",
        "TIMESTAMP_NS": START,
    }  # fmt: skip
    key = route_to("questdb", "hour")
    await apply(live, declared(key, columns=[HOUR, {"name": "n", "type": type_name}]))
    good = fitting.get(type_name, 1)
    hours = [START + datetime.timedelta(hours=number) for number in range(20)]
    async with live.open_mirror(key, columns("hour", "n")) as writer:
        with pytest.raises(StatementRejectedError) as raised:
            await writer.write(snapshot(1, *((hour, value if hour == hours[7] else good) for hour in hours)))
        assert expected in raised.value.message
        assert "delays" in raised.value.message
        assert "hour = 2013-01-01 07:00:00+00:00" in raised.value.message
        assert await live.mirrored_rows("delays") == 0
        await writer.write(snapshot(1, (hours[7], good)))
    assert await live.mirrored_rows("delays") == 1


@pytest.mark.parametrize("value", [None, datetime.datetime(1969, 12, 31, 23, 59, tzinfo=UTC)])
async def test_a_time_that_no_designated_timestamp_can_be_is_refused(live: QuestDBLive, value: Any) -> None:
    await apply(live, declared())
    async with live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        with pytest.raises(StatementRejectedError, match=r"hour: .* does not fit TIMESTAMP"):
            await writer.write(snapshot(1, row(1, 1), (value, "UA", 1, 1)))


async def test_a_key_that_comes_twice_is_refused(live: QuestDBLive) -> None:
    key = route_to("questdb", "hour", "k")
    await apply(live, declared(key, columns=[HOUR, {"name": "k", "type": "UUID"}]))
    text = str(uuid.UUID(int=0xA))
    async with live.open_mirror(key, columns("hour", "k")) as writer:
        with pytest.raises(StatementRejectedError, match=f"k = {text} twice"):
            await writer.write(snapshot(1, (START, text), (START, text.upper())))


async def test_a_missing_table_and_missing_columns_are_told_with_the_way_out(live: QuestDBLive) -> None:
    with pytest.raises(StatementRejectedError, match="no table delays") as raised:
        async with live.open_mirror(ROUTE, columns(*NAMES)):
            pass
    assert "thedata apply" in raised.value.hint
    with pytest.raises(StatementRejectedError):
        await live.mirrored_rows("delays")
    await apply(live, declared())
    with pytest.raises(StatementRejectedError, match="no column 'cancelled'") as raised:
        async with live.open_mirror(ROUTE, columns(*NAMES, "cancelled")):
            pass
    assert "declare cancelled" in raised.value.hint
    async with live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        await live.execute(Step('ALTER TABLE "delays" DROP COLUMN late'))
        with pytest.raises(StatementRejectedError, match="late"):
            await writer.write(snapshot(1, row(1, 1, 1)))
        await live.execute(Step("DROP TABLE delays"))
        with pytest.raises(StatementRejectedError, match="delays"):
            await writer.write(changes(2, row(1, 1)))
    assert await run(live, "SELECT table_name FROM tables() WHERE table_name = 'delays'") == []


async def test_a_table_that_is_made_anew_meanwhile_is_not_taken_for_the_old_one(live: QuestDBLive) -> None:
    await apply(live, declared())
    async with live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        await writer.write(snapshot(1, row(1, 1), row(2, 2)))
        await live.execute(Step("DROP TABLE delays"))
        await apply(live, declared())
        with pytest.raises(StatementRejectedError, match="made anew"):
            await writer.write(changes(2, row(3, 3)))
    async with live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        await writer.write(snapshot(3, row(1, 1), row(2, 2), row(3, 3)))
    assert await live.mirrored_rows("delays") == 3


async def test_a_table_of_another_shape_is_refused(live: QuestDBLive) -> None:
    await live.execute(
        Step(
            "CREATE TABLE delays (hour TIMESTAMP, carrier SYMBOL, departures LONG, late INT, blob BINARY, "
            "_version LONG, _deleted BOOLEAN) TIMESTAMP(hour) PARTITION BY DAY WAL"
        )
    )
    with pytest.raises(StatementRejectedError, match="its dedup keys are none") as raised:
        async with live.open_mirror(ROUTE, columns(*NAMES)):
            pass
    assert "thedata apply" in raised.value.hint
    await live.execute(Step('ALTER TABLE "delays" DEDUP ENABLE UPSERT KEYS(hour, carrier)'))
    with pytest.raises(StatementRejectedError, match="blob is BINARY, which cannot be written"):
        async with live.open_mirror(ROUTE, columns(*NAMES, "blob")):
            pass


async def test_a_large_snapshot_is_one_transaction(live: QuestDBLive) -> None:
    """The server's own limit of uncommitted rows is 500,000; partitions are months here."""
    key = route_to("questdb", "hour")
    await apply(live, declared(key, columns=[HOUR], partition_by="month"))
    minutes = [START + datetime.timedelta(minutes=number) for number in range(600_000)]
    async with live.open_mirror(key, columns("hour")) as writer:
        await writer.write(snapshot(1, *((minute,) for minute in minutes)))
    assert await run(live, "SELECT count() FROM wal_transactions('delays')") == [(1,)]
    assert await live.mirrored_rows("delays") == 600_000


async def test_a_suspended_table_is_told_with_the_way_out(live: QuestDBLive) -> None:
    await apply(live, declared(columns=[*COLUMNS, {"name": "price", "type": "DECIMAL(10,2)"}]))
    await run(live, "INSERT INTO delays (hour) VALUES ('2024-01-01')")
    async with live.open_mirror(ROUTE, columns(*NAMES)) as writer:
        # The server accepts this change and cannot apply it: the one sure way into a suspended table.
        with pytest.raises(StatementRejectedError, match="suspended"):
            await live.execute(Step('ALTER TABLE "delays" ALTER COLUMN "price" TYPE LONG'))
        with pytest.raises(StatementRejectedError, match="suspended") as suspended:
            await writer.write(changes(1, row(1, 1)))
    assert "RESUME WAL" in suspended.value.hint


async def test_killed_in_the_middle_of_a_write_all_or_nothing_is_there_and_it_can_be_written_again(
    tmp_path: Path,
) -> None:
    before = snapshot(1_000, *(row(number, 1, 1) for number in range(20_000)))
    after = changes(2_000, *(row(number, 2, 2) for number in range(20_000)))
    ports = None
    for delay_s in (0.05, 0.15, None):
        with running_questdb(tmp_path / "questdb", ports=ports) as server:
            ports = dict(server.endpoint.ports)
            async with COMPONENT.connect(server.endpoint, "flights") as connected:
                live = cast(QuestDBLive, connected)
                await apply(live, declared(partition_by="month"))
                async with live.open_mirror(ROUTE, columns(*NAMES)) as writer:
                    found = await run(live, "SELECT min(late), max(late), count() FROM delays WHERE NOT _deleted")
                    assert found[0] in [(None, None, 0), (1, 1, 20_000), (2, 2, 20_000)]
                    await writer.write(after)
                    found = await run(live, "SELECT sum(late), count() FROM delays WHERE NOT _deleted")
                    assert found == [(40_000, 20_000)]
                    await writer.write(before)
                    if delay_s is not None:
                        await kill_while_it_writes(writer, after, server.process, delay_s)
