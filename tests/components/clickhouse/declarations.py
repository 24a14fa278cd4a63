"""Hypothesis strategies: any table or view that a project can declare."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from thedata_cli.component_api.contracts import Contract, ContractField, FieldType
from thedata_cli.components.clickhouse.sql import quoted

DEFAULTS: dict[str, list[str]] = {
    "int": ["5", "1+1", "toInt32(7) * 2"],
    "UInt8": ["0", "255"],
    "Int64": ["-1", "abs(-3)"],
    "Float64": ["pi()", "1.50"],
    "Float32": ["1e3"],
    "Decimal(10,2)": ["1.5"],
    "Bool": ["true", "1 = 1"],
    "text": ["'x'", "lower('AB')", "concat('it''s', 'b')", "'back\\\\slash'"],
    "FixedString(3)": ["'abc'"],
    "LowCardinality(String)": ["'a'"],
    "Nullable(bigint)": ["NULL", "3"],
    "LowCardinality(Nullable(String))": ["NULL"],
    "Date": ["today()", "toDate('2020-01-01')"],
    "Date32": ["today() + INTERVAL 1 DAY"],
    "DateTime": ["now()"],
    "DateTime64(6, 'UTC')": ["now64(6)"],
    "DateTime64(3)": ["now64(3) - INTERVAL 1 HOUR"],
    "UUID": ["generateUUIDv4()"],
    "IPv4": ["'127.0.0.1'"],
    "Enum('a','b')": ["'a'"],
    "Array(text)": ["[]", "['a', 'b']"],
    "Map(String,Int64)": ["map('a', 1)"],
    "Tuple(a Int8, b String)": ["(1, 'b')"],
    "JSON": [],
    "UInt256": ["1"],
}
"""Types as people spell them, aliases included, and defaults that fit."""

KEY_TYPES = [
    "int",
    "UInt8",
    "Int64",
    "text",
    "LowCardinality(String)",
    "Date",
    "DateTime",
    "DateTime64(6, 'UTC')",
    "UUID",
]
DATE_TYPES = ["Date", "Date32", "DateTime", "DateTime64(6, 'UTC')", "DateTime64(3)"]
NUMBER_TYPES = ["int", "UInt8", "Int64"]
CODECS = ["ZSTD", "LZ4HC(9)", "NONE", "LZ4"]
NUMBER_CODECS = ["Delta, ZSTD(3)", "T64", "DoubleDelta, LZ4"]

_either: st.SearchStrategy[bool] = st.booleans()
comments = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12) | st.sampled_from(
    ["it's", "back\\slash", "[thedata:other]", "two\nlines", '`q` "d" -- no']
)
names = st.sampled_from(
    [
        "a",
        "b",
        "c",
        "note",
        "select",
        "index",
        "order",
        "Group",
        "with space",
        "über",
        "x-y",
        "quote'd",
        "null",
        "_v",
    ]
)


@st.composite
def columns(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = []
    for name in draw(st.lists(names, min_size=1, max_size=5, unique=True)):
        type_name = draw(st.sampled_from(sorted(DEFAULTS)))
        column: dict[str, Any] = {"name": name, "type": type_name, "comment": draw(comments)}
        if draw(_either) and DEFAULTS[type_name]:
            kind = draw(st.sampled_from(["default", "default", "materialized", "alias"]))
            column[kind] = draw(st.sampled_from(DEFAULTS[type_name]))
        if "alias" not in column and draw(st.integers(0, 3)) == 0:
            column["codec"] = draw(st.sampled_from(CODECS + (NUMBER_CODECS if type_name in NUMBER_TYPES else [])))
        made.append(column)
    if all("alias" in column or "materialized" in column for column in made):
        made.append({"name": "stored", "type": "Int8"})
    return made


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """A table without a contract, as its YAML would be."""
    made = draw(columns())
    engines = ["MergeTree"] * 5 + ["ReplacingMergeTree", "Memory"]
    if all(column["type"] != "JSON" for column in made):
        engines.append("Log")
    table: dict[str, Any] = {"columns": made, "comment": draw(comments), "table_engine": draw(st.sampled_from(engines))}
    if not table["table_engine"].endswith("MergeTree"):
        return table
    stored = [column for column in made if "alias" not in column]
    keys = [quoted(column["name"]) for column in stored if column["type"] in KEY_TYPES]
    order = draw(st.lists(st.sampled_from(keys), unique=True, max_size=3)) if keys else []
    if draw(_either) and order:
        table["primary_key"] = order[: draw(st.integers(1, len(order)))]
    if order and draw(st.integers(0, 3)) == 0:
        order.append(f"cityHash64({order[0]})")
    table["order_by"] = order
    dates = [quoted(column["name"]) for column in stored if column["type"] in DATE_TYPES]
    if draw(_either) and dates:
        date = draw(st.sampled_from(dates))
        table["partition_by"] = draw(st.sampled_from([f"toYYYYMM({date})", f"(toYear({date}), toMonth({date}))"]))
    if draw(_either) and dates:
        date = draw(st.sampled_from(dates))
        interval = draw(st.sampled_from(["INTERVAL 30 DAY", "interval 1 year", "toIntervalHour(72)"]))
        table["ttl"] = f"{date} + {interval}" + draw(st.sampled_from(["", " DELETE"]))
    table["settings"] = draw(_settings)
    if draw(st.integers(0, 3)) == 0:
        table["settings"]["index_granularity"] = draw(st.sampled_from([1024, 8192]))
    return table


_settings: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "min_bytes_for_wide_part": st.integers(0, 10**9),
        "non_replicated_deduplication_window": st.integers(0, 5000),
        "ttl_only_drop_parts": st.booleans(),
    },
)


@st.composite
def changes_in_place(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two tables with the same engine, keys and partitions, and anything else."""
    keys = [{"name": "key", "type": "Int64"}, {"name": "at", "type": "DateTime64(3, 'UTC')"}]
    both = []
    for _ in range(2):
        made = draw(columns())
        for key in keys:
            made.insert(draw(st.integers(0, len(made))), key)
        table: dict[str, Any] = {
            "columns": made, "order_by": ["key", "at"], "primary_key": ["key", "at"], "partition_by": "toYYYYMM(at)",
            "comment": draw(comments), "settings": draw(_settings),
        }  # fmt: skip
        stored = [column for column in made if "alias" not in column]
        dates = ["at", *(quoted(column["name"]) for column in stored if column["type"] in DATE_TYPES)]
        if draw(_either):
            table["ttl"] = f"{draw(st.sampled_from(dates))} + INTERVAL {draw(st.integers(1, 400))} DAY"
        both.append(table)
    before, after = both
    old_names = {column["name"] for column in before["columns"]}
    fresh = [
        quoted(column["name"])
        for column in after["columns"]
        if column["name"] not in old_names
        and column["type"] in KEY_TYPES
        and not {"default", "materialized", "alias"} & column.keys()
    ]
    if draw(_either) and fresh:
        after["order_by"] = ["key", "at", fresh[0]]
    return before, after


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    fields = [ContractField("at", FieldType.TIMESTAMP, description=draw(comments))]
    for index, kind in enumerate(draw(st.lists(st.sampled_from(list(FieldType)), max_size=6))):
        is_nullable = draw(_either)
        fields.append(
            ContractField(
                draw(st.sampled_from(["field", "key`", "a.b", "größe", "select"])) + str(index), kind,
                is_nullable=is_nullable, is_required=not is_nullable, is_symbol=draw(_either),
                description=draw(comments),
            )
        )  # fmt: skip
    key = tuple(field.name for field in fields[:3] if not field.is_nullable and field.type is not FieldType.JSON)
    return Contract("events", "events.>", tuple(fields), event_time="at", key=key if draw(_either) else ())


QUERIES = [
    "SELECT 1 AS x",
    "select a, count() as n from base group by a order by n desc limit 10 -- the most",
    "SELECT * FROM base WHERE a IN (SELECT a FROM base WHERE b = 'it''s') AND b NOT IN ('x', 'y');",
    "WITH top AS (SELECT a FROM base) SELECT t.a, b.b FROM top t JOIN base AS b USING (a)",
    "WITH top AS (SELECT a FROM base) SELECT a FROM top UNION ALL SELECT a FROM base",
    "SELECT base.a, other.n, sum(n) OVER (PARTITION BY base.a) AS s FROM base LEFT JOIN other ON other.a = base.a",
    "SELECT a, x FROM base ARRAY JOIN [1, 2] AS x WHERE a BETWEEN 1 AND 2",
    "SELECT * EXCEPT (b) FROM base FINAL",
    "SELECT a FROM base, other WHERE base.a = other.a SETTINGS max_threads = 1",
    "SELECT CAST(a AS String) AS s, a::Int64 AS i, toDate('2020-01-01') + INTERVAL 1 DAY AS d FROM base",
    "SELECT number FROM numbers(10) WHERE number NOT IN base_numbers",
    "SELECT arrayMap(x -> x + 1, [1, 2]) AS m, if(a > 1, 'b', 'c') AS c, a IS NULL AS e FROM (SELECT a FROM {db}.base)",
    "SELECT quantile(0.5)(a) AS q, uniqExact(a, b) FROM {db}.base AS base WHERE base.a > 0 HAVING q > 0",
]
