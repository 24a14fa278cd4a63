"""Whatever can be declared: right after `apply`, `plan` is empty, and so it is after any change of the declaration."""

from __future__ import annotations

import asyncio
import os
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st
from tests.components.questdb.cases import (
    COMPONENT,
    apply,
    drop_everything,
    plan_of,
    problems,
    project,
    route,
    run,
    table,
    view,
)
from tests.components.questdb_process import QuestDBServer

from thedata_cli.component_api.component import ProjectView
from thedata_cli.component_api.contracts import Contract, ContractField, FieldType
from thedata_cli.components.questdb.live import QuestDBLive

pytestmark = pytest.mark.live

EXAMPLES = int(os.environ.get("QUESTDB_EXAMPLES", "25"))

TYPES = [
    "BOOLEAN", "BYTE", "SHORT", "CHAR", "INT", "LONG", "LONG256", "FLOAT", "DOUBLE", "DATE", "TIMESTAMP",
    "TIMESTAMP_NS", "SYMBOL", "VARCHAR", "STRING", "UUID", "ipv4", "GEOHASH(4c)", "geohash(7b)", "BINARY", "DOUBLE[]",
    "double[][]", "DECIMAL(10, 2)",
]  # fmt: skip
NAMES = ["a", "b", "C", "Ünï cöde", "select", "_x", "$1"]
TTLS = ["0h", "1d", "2w", "6M", "2y", "14d"]
PARTITIONS = ["hour", "day", "week", "month", "year"]


@st.composite
def columns(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(st.sampled_from(NAMES), max_size=4, unique=True))
    made = []
    for name in names:
        column: dict[str, Any] = {"name": name, "type": draw(st.sampled_from(TYPES))}
        if column["type"] == "SYMBOL":
            column["index"] = draw(st.booleans())
            column["symbol_cache"] = draw(st.booleans())
            if capacity := draw(st.sampled_from([None, 16, 1000, 5000])):
                column["symbol_capacity"] = capacity
        made.append(column)
    return made


@st.composite
def tables(draw: st.DrawFn, name: str = "t") -> dict[str, Any]:
    own = draw(columns())
    made: dict[str, Any] = {"name": name, "columns": own}
    if draw(st.integers(0, 9)):
        kind = draw(st.sampled_from(["TIMESTAMP", "TIMESTAMP", "TIMESTAMP_NS"]))
        made["columns"] = [*own, {"name": "ts", "type": kind}]
        made["timestamp"] = "ts"
        made["partition_by"] = draw(st.sampled_from([None, *PARTITIONS]))
        made["ttl"] = draw(st.sampled_from(TTLS))
        if draw(st.booleans()):
            others = draw(st.lists(st.sampled_from([column["name"] for column in own]), unique=True)) if own else []
            made["dedup_keys"] = ["ts", *others]
    return made


VIEW_QUERIES = [
    "SELECT ts, count() AS n FROM base SAMPLE BY 1h",
    "SELECT ts, -- when\n  max(x) AS most\nFROM base\nSAMPLE BY 1d;",
    "SELECT ts, s, last(x) AS x, 'a  b' AS c FROM base SAMPLE BY 1h ALIGN TO CALENDAR",
]


@st.composite
def views(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "name": "v",
        "base": "base",
        "query": draw(st.sampled_from(VIEW_QUERIES)),
        "refresh": draw(st.sampled_from(["immediate", "manual", {"every": "10m"}, {"every": "1h"}, {"every": "2d"}])),
        "partition_by": draw(st.sampled_from([None, "day", "month", "year"])),
        "ttl": draw(st.sampled_from(["0h", "12M", "10y"])),
    }


@st.composite
def bases(draw: st.DrawFn) -> dict[str, Any]:
    extra = draw(st.lists(st.sampled_from(["y", "z"]), unique=True))
    return {
        "name": "base",
        "columns": [
            {"name": "ts", "type": "TIMESTAMP"},
            {"name": "s", "type": draw(st.sampled_from(["SYMBOL", "VARCHAR"]))},
            {"name": "x", "type": draw(st.sampled_from(["INT", "LONG", "DOUBLE"]))},
            *({"name": name, "type": draw(st.sampled_from(["INT", "VARCHAR"]))} for name in extra),
        ],
        "timestamp": "ts",
        "partition_by": draw(st.sampled_from(["day", "day", "month"])),
    }


def valid(view: ProjectView) -> ProjectView:
    found = problems(view)
    note(f"{view.declared} {found}")
    assume(not found)
    return view


async def check_in_turn(server: QuestDBServer, *wanted: ProjectView, rows: str = "") -> None:
    """Apply one project after the other; after each there is nothing left to do, and all tables still take rows."""
    async with COMPONENT.connect(server.endpoint, "flights") as connected:
        live = cast(QuestDBLive, connected)
        await drop_everything(live)
        for each in wanted:
            note(f"plan: {await plan_of(live, each)}")
            await apply(live, each)
            left = await plan_of(live, each)
            assert left.is_empty, f"{left}: {[change.differences for change in left.changes]}"
            if rows:
                await run(live, rows)
        suspended = await run(live, "SELECT name, errorMessage FROM wal_tables() WHERE suspended")
        assert not suspended


SETTINGS = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@SETTINGS
@given(first=tables(), second=tables())
def test_plan_is_empty_after_any_table_and_any_change_of_it(
    server: QuestDBServer, first: dict[str, Any], second: dict[str, Any]
) -> None:
    wanted = [valid(project(table(**each))) for each in (first, second)]
    asyncio.run(check_in_turn(server, *wanted))


@settings(SETTINGS, max_examples=EXAMPLES // 2)
@given(first_base=bases(), first=views(), second_base=bases(), second=views())
def test_plan_is_empty_after_any_view_and_any_change_of_it_or_its_base(
    server: QuestDBServer,
    first_base: dict[str, Any],
    first: dict[str, Any],
    second_base: dict[str, Any],
    second: dict[str, Any],
) -> None:
    wanted = [
        valid(project(table(**base), view(**made))) for base, made in ((first_base, first), (second_base, second))
    ]
    rows = "INSERT INTO base (ts, s, x) SELECT dateadd('h', x::int, '2024-01-01'), 'a', x FROM long_sequence(50)"
    asyncio.run(check_in_turn(server, *wanted, rows=rows))


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    kinds = draw(st.lists(st.sampled_from(sorted(FieldType)), max_size=5))
    fields = [ContractField("at", FieldType.TIMESTAMP)]
    for index, kind in enumerate(kinds):
        fields.append(
            ContractField(
                f"f{index}",
                kind,
                is_required=draw(st.booleans()),
                is_nullable=draw(st.booleans()),
                is_symbol=draw(st.booleans()),
            )
        )
    required = [field.name for field in fields[1:] if field.is_required and not field.is_nullable]
    key = draw(st.lists(st.sampled_from(required), unique=True)) if required else []
    return Contract("c", "c", tuple(fields), event_time="at", key=tuple(key))


@settings(SETTINGS, max_examples=EXAMPLES // 3)
@given(first=contracts(), second=contracts(), is_fed=st.booleans())
def test_plan_is_empty_after_any_contract(
    server: QuestDBServer, first: Contract, second: Contract, is_fed: bool
) -> None:
    wanted = [
        valid(project(table("t", contract="c"), contracts=[each], routes=[route(each, "t")] if is_fed else []))
        for each in (first, second)
    ]
    asyncio.run(check_in_turn(server, *wanted))
