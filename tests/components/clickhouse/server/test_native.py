"""Native blocks re-encoded for newer revisions, compared with what the engine writes of each column alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thedata_cli.components.clickhouse.server.errors import ClickHouseError
from thedata_cli.components.clickhouse.server.native import NativeEncoder
from thedata_cli.components.clickhouse.server.native_columns import column_for
from thedata_cli.components.clickhouse.server.native_types import UnreadableTypeError, parse_type

BLOCK_INFO = bytes.fromhex("010002FFFFFFFF00")
REVISION = 54460
ROWS = 23

VARIANT = "Variant(Array(UInt8), String, UInt64)"
DOCUMENT = """concat('{"a":{"b":', toString(number), '},"x y":["p"],"c":1,"s', toString(number % 4),
    '":"v","list":[1,{"q":[2]}],"deep":[{"x":', toString(number), '}],"f":', if(number % 2 = 0, '1.5', '"t"'), '}')"""
# A type, and an expression over `number` for its values: every kind of column that the engine writes.
COLUMNS = {
    **{f"{sign}Int{bits}": f"number::{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)},
    "Float32": "number / 3",
    "Float64": "number / 3",
    "BFloat16": "number::BFloat16",
    "Bool": "number % 2 = 0",
    "String": "repeat('é', number * 7)",
    "FixedString(7)": "toString(number)",
    "UUID": "reinterpretAsUUID(toString(number))",
    "IPv4": "toIPv4(number::UInt32)",
    "IPv6": "'2001:db8::1'",
    "Date": "number::Date",
    "Date32": "number::Date32",
    "DateTime": "number::DateTime",
    "DateTime('Europe/Paris')": "number::DateTime('Europe/Paris')",
    "DateTime64(3)": "number::DateTime64(3)",
    "DateTime64(6, 'Asia/Tokyo')": "number::DateTime64(6, 'Asia/Tokyo')",
    "Time": "number::Time",
    "Time64(4)": "number::Time64(4)",
    "Decimal(5, 2)": "number::Decimal(5, 2)",
    "Decimal(15, 2)": "number::Decimal(15, 2)",
    "Decimal(30, 2)": "number::Decimal(30, 2)",
    "Decimal(70, 5)": "number::Decimal(70, 5)",
    "Enum8('a' = 1, 'b, c(\\'' = -2)": "if(number % 2 = 0, 'a', 'b, c(\\'')",
    "Enum16('x' = 1000)": "'x'",
    "IntervalDay": "toIntervalDay(number)",
    "Nullable(String)": "if(number % 3 = 0, NULL, toString(number))",
    "Nullable(Decimal(20, 3))": "if(number % 3 = 0, NULL, number::Decimal(20, 3))",
    "Nullable(Nothing)": "NULL",
    "Array(Nothing)": "[]",
    "Array(String)": "arrayMap(x -> repeat('s', x * 50), range(number % 5))",
    "Array(Array(Nullable(Int16)))": "arrayMap(x -> [NULL, x], range(number % 4))",
    "Array(DateTime('Europe/Paris'))": "[number::DateTime('Europe/Paris')]",
    "Map(String, UInt64)": "map('k', number, toString(number), 1)",
    "Map(LowCardinality(String), Array(String))": "map('k', ['a', toString(number)])",
    "Map(String, Map(String, LowCardinality(String)))": "map('k', map('q', toString(number)))",
    "Tuple(UInt8, String)": "(number, toString(number))",
    "Tuple(a UInt8, `b c` String)": "(number, toString(number))",
    "Tuple(String, Array(Tuple(Int8, String)))": "('x', [(1, 'a'), (number, 'b')])",
    "Tuple()": "tuple()",
    "Nested(x UInt8, y String)": "[(number, 'a'), (1, toString(number))]",
    "LowCardinality(String)": "toString(number % 5)",
    "LowCardinality(UInt32)": "number % 5",
    "LowCardinality(Nullable(String))": "if(number % 3 = 0, NULL, toString(number))",
    "Array(LowCardinality(String))": "arrayMap(x -> toString(x), range(number % 4))",
    "Array(LowCardinality(Nullable(FixedString(3))))": "[NULL, 'abc', toString(number)]",
    VARIANT: f"multiIf(number % 4 = 0, number::{VARIANT}, number % 4 = 1, 'x', number % 4 = 2, [1, 2], NULL)",
    "Array(Variant(String, UInt64))": "['a'::Variant(String, UInt64), number::UInt64::Variant(String, UInt64), NULL]",
    "Tuple(Variant(LowCardinality(String), UInt8), LowCardinality(String))": "('a', 'b')",
    "Dynamic": "[number::Dynamic, 'x'::Dynamic, [1, 2]::Dynamic, NULL::Dynamic, ('a', 2)::Dynamic][number % 5 + 1]",
    "Dynamic(max_types=1)": "[number::Dynamic, 'x'::Dynamic, [1]::Dynamic][number % 3 + 1]",
    "Array(Dynamic)": "[1::Dynamic, 'x'::Dynamic, number::Dynamic]",
    "JSON": DOCUMENT,
    "JSON(a.b UInt32, `x y` Array(String), SKIP c, SKIP REGEXP 'd.*')": DOCUMENT,
    "JSON(max_dynamic_paths=1)": DOCUMENT,
    "Array(JSON)": f'[{DOCUMENT}, \'{{"b":"x"}}\']',
    "Nullable(JSON)": f"if(number % 2 = 0, NULL, {DOCUMENT})",
    "Point": "(number, 2.)",
    "Ring": "[(number, 2.), (3., 4.)]",
    "LineString": "[(number, 2.), (3., 4.)]",
    "Polygon": "[[(number::Float64, 2.), (3., 4.)], []]",
    "MultiLineString": "[[(number, 2.), (3., 4.)]]",
    "MultiPolygon": "[[[(number, 2.)]]]",
    "Geometry": "if(number % 2 = 0, (1., number)::Point::Geometry, [(1., 2.), (3., 4.)]::Ring::Geometry)",
    "SimpleAggregateFunction(sum, UInt64)": "number",
    "QBit(BFloat16, 8)": "arrayMap(x -> x + number, range(8))",
    "QBit(Float32, 20)": "arrayMap(x -> x + number, range(20))",
    "QBit(Float64, 17)": "arrayMap(x -> x + number, range(17))",
}

STORABLE = sorted(name for name in COLUMNS if "Nothing" not in name)


@dataclass(frozen=True)
class WrittenColumn:
    """One column of a block, cut out of a block of its own."""

    name: bytes
    type: bytes
    data: bytes

    def encoded(self, full_type: bytes) -> bytes:
        return varint(len(self.name)) + self.name + varint(len(full_type)) + full_type + b"\0" + self.data


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def read_string(data: bytes, position: int) -> tuple[bytes, int]:
    length, position = read_varint(data, position)
    return data[position : position + length], position + length


def only_column(block: bytes) -> WrittenColumn:
    """Cut the only column out of the only block."""
    columns, position = read_varint(block, 0)
    rows, position = read_varint(block, position)
    assert (columns, rows) == (1, ROWS)
    name, position = read_string(block, position)
    type_name, position = read_string(block, position)
    return WrittenColumn(name, type_name, block[position:])


def select(http: httpx.Client, sql: str, **parameters: str | int) -> bytes:
    options: dict[str, str | int] = {
        "default_format": "Native",
        "enable_time_time64_type": 1,
        "allow_experimental_qbit_type": 1,
    }
    answer = http.post("/", content=sql, params=options | {"allow_suspicious_low_cardinality_types": 1} | parameters)
    assert answer.status_code == 200, answer.text
    return answer.content


def source(columns: dict[str, str]) -> str:
    listed = ", ".join(
        f"CAST({value} AS {type_name}) AS c{index}" for index, (type_name, value) in enumerate(columns.items())
    )
    return f"(SELECT {listed} FROM numbers({ROWS}))"


def expected_block(http: httpx.Client, columns: dict[str, str], rows_from: str) -> bytes:
    """What the newer revision looks like, put together from blocks of one column each."""
    block = BLOCK_INFO + varint(len(columns)) + varint(ROWS)
    for index, type_name in enumerate(columns):
        column = only_column(select(http, f"SELECT c{index} FROM {rows_from}"))
        zoned = column.type == b"DateTime" and type_name.startswith("DateTime(")
        block += column.encoded(type_name.encode() if zoned else column.type)
    return block


@pytest.mark.live
@pytest.mark.parametrize("type_name", COLUMNS)
def test_every_type_is_walked_to_its_end(http: httpx.Client, type_name: str) -> None:
    column = {type_name: COLUMNS[type_name], "String": "'the end'"}
    got = select(http, f"SELECT * FROM {source(column)}", client_protocol_version=REVISION)
    assert got == expected_block(http, column, source(column))


@pytest.mark.live
@given(
    chosen=st.lists(st.sampled_from(STORABLE), min_size=1, max_size=6, unique=True),
    wrapped=st.sampled_from(["{}", "Array({})", "Tuple(x {}, y String)", "Map(String, {})", "Array(Array({}))"]),
    cuts=st.lists(st.integers(min_value=0, max_value=3000), max_size=6),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_columns_cut_anywhere(
    http: httpx.Client, database: str, chosen: list[str], wrapped: str, cuts: list[int]
) -> None:
    values = {
        "{}": "{}",
        "Array({})": "[{0}, {0}]",
        "Tuple(x {}, y String)": "({}, 'y')",
        "Map(String, {})": "map('k', {})",
    }
    value = values.get(wrapped, "[[{0}], arraySlice([{0}], 2), [{0}, {0}]]")
    columns = {wrapped.format(name): value.format(f"CAST({COLUMNS[name]} AS {name})") for name in chosen}
    # A table keeps what stands below a NULL: computed anew for each query it may differ.
    table = f"{database}.t"
    select(
        http, f"CREATE OR REPLACE TABLE {table} ENGINE = Memory AS SELECT * FROM {source(columns)}", flatten_nested=0
    )
    raw = select(http, f"SELECT * FROM {table}")
    encoder = NativeEncoder(REVISION, list(columns))
    places = [0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
    pieces = [raw[start:end] for start, end in pairwise(places)]
    got = b"".join(map(encoder.encode, pieces)) + encoder.finish()
    assert got == expected_block(http, columns, table)


@pytest.mark.live
def test_many_blocks_stay_many_blocks(http: httpx.Client) -> None:
    rows = 200_000
    sql = f"SELECT number, toString(number) AS s, toLowCardinality(s) AS l FROM numbers({rows})"
    got = select(http, sql, client_protocol_version=REVISION, max_block_size=1000)
    assert got.count(BLOCK_INFO + b"\x03\xe8\x07\x06number\x06UInt64\0") == rows // 1000


@pytest.mark.live
def test_no_rows_still_have_a_header(http: httpx.Client) -> None:
    sql = "SELECT number, toDateTime(0, 'UTC') AS d FROM numbers(1) WHERE number > 1"
    got = select(http, sql, client_protocol_version=REVISION)
    assert got in (b"", BLOCK_INFO + b"\x02\x00\x06number\x06UInt64\0\x01d\x0fDateTime('UTC')\0")


@pytest.mark.live
def test_older_revisions_get_block_info_only(http: httpx.Client) -> None:
    got = select(http, "SELECT 1 AS check", client_protocol_version=54405)
    assert got == BLOCK_INFO + b"\x01\x01\x05check\x05UInt8\x01"


@pytest.mark.live
def test_a_type_that_does_not_tell_its_size_is_refused_with_a_way_out(http: httpx.Client) -> None:
    parameters: dict[str, str | int] = {"client_protocol_version": REVISION, "default_format": "Native"}
    answer = http.post("/", content="SELECT sumState(number) FROM numbers(10)", params=parameters)
    assert answer.headers["X-ClickHouse-Exception-Code"] == "48"
    assert "AggregateFunction" in answer.text
    assert "RowBinary" in answer.text


def test_a_stream_that_stops_inside_a_block_is_noticed() -> None:
    encoder = NativeEncoder(REVISION)
    encoder.encode(b"\x01\x02\x01a\x06UInt32\x00\x00\x00\x00")
    with pytest.raises(ClickHouseError):
        encoder.finish()


@given(st.text(max_size=40))
def test_any_text_is_a_type_or_refused(text: str) -> None:
    try:
        parse_type(text)
    except UnreadableTypeError:
        return


@pytest.mark.parametrize("text", ["", "Array(", "Array(Nope)", "Decimal(x, 2)", "Array(UInt8) UInt8 ("])
def test_unknown_types_are_refused(text: str) -> None:
    with pytest.raises(ClickHouseError):
        column_for(text)
